"""Which notification URLs may be saved, and the sentence for each that may not.

What a URL says is read by `targets`, as the door does that calls it; the address a name leads to is
checked there, at every connection (DESIGN 5).
"""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from . import targets
from .targets import BadUrl, Problem

MAX_LENGTH = targets.MAX_LENGTH


def check_url(url: str, *, production: bool = False, http_confirmed: bool = False) -> str:
    """Return the URL trimmed; raise ValidationError that names it and says why it is refused.

    Args:
        production: it is called in PRODUCTION mode, where http:// needs `http_confirmed`.
        http_confirmed: the merchant has accepted http:// in PRODUCTION mode.

    `IPN_ALLOW_PRIVATE_NETWORKS` lifts the limits on addresses, names, ports and http://, never
    those on spelling.
    """
    typed = url.strip()
    try:
        target = targets.read(typed)
        if not settings.IPN_ALLOW_PRIVATE_NETWORKS:
            targets.check_reach(target)
    except BadUrl as bad:
        raise _refusal(typed, _reason(bad)) from None
    if production and target.scheme == "http" and not http_confirmed and not settings.IPN_ALLOW_PRIVATE_NETWORKS:
        raise _refusal(
            typed,
            _(
                "en mode PRODUCTION, une URL commence par https://. Pour appeler quand même en clair, "
                "confirmez « http:// accepté en mode PRODUCTION » dans la règle."
            ),
        )
    return typed


def _refusal(typed: str, reason: str) -> ValidationError:
    shown = "".join(character if character.isprintable() else "�" for character in typed)
    shown = shown if len(shown) <= 120 else shown[:119] + "…"
    return ValidationError(_("« %(url)s » : %(reason)s") % {"url": shown, "reason": reason}, code="invalid_url")


def _reason(bad: BadUrl) -> str:
    match bad.problem:
        case Problem.TOO_LONG:
            return _("une URL compte au plus %(max)d caractères.") % {"max": MAX_LENGTH}
        case Problem.CHARACTERS:
            return _("une URL ne contient ni espace, ni barre oblique inverse, ni caractère de contrôle ou invisible.")
        case Problem.SCHEME:
            return _("une URL de notification commence par https:// ou http://.")
        case Problem.NO_HOST:
            return _("l'URL n'a pas de nom de serveur.")
        case Problem.USERINFO:
            return _("l'URL ne doit contenir ni identifiant ni mot de passe.")
        case Problem.FRAGMENT:
            return _("retirez ce qui suit le caractère # : un serveur ne le reçoit jamais.")
        case Problem.PORT_SPELLING:
            return _("« %(port)s » n'est pas un numéro de port.") % {"port": bad.detail[:20]}
        case Problem.PORT:
            return _("le port %(port)s n'est pas autorisé : seuls le sont 80, 443 et 1024 à 65535.") % {
                "port": bad.detail
            }
        case Problem.HOST_ENCODED:
            return _("un nom de serveur s'écrit en clair, sans caractère encodé.")
        case Problem.HOST_LABEL:
            return _("entre deux points, un nom de serveur compte 1 à 63 caractères, et il ne finit pas par un point.")
        case Problem.HOST_DISGUISED:
            return _("le nom de serveur contient des caractères déguisés : écrivez « %(name)s ».") % {
                "name": bad.detail
            }
        case Problem.ADDRESS_SPELLING:
            return _("« %(address)s » n'est pas une adresse IP dans son écriture habituelle.") % {
                "address": bad.detail[:60]
            }
        case Problem.LOCAL_NAME:
            return _("la plateforme appelle l'URL depuis ses serveurs : un nom local n'y mène pas.")
        case Problem.SPECIAL_ADDRESS:
            return _("cette adresse appartient à un réseau privé ou réservé (%(network)s).") % {"network": bad.detail}
    return _("ce n'est pas une URL valide.")
