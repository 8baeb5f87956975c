"""Why a URL is refused, in words; the same for what is called and for what people click.

Pure: no database, no settings, no clock.
"""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.text import hosts, targets
from backoffice.text.targets import BadUrl, Problem

MAX_LENGTH = targets.MAX_LENGTH


# What is fixed but for the piece of the URL that it names.
_REASONS = {
    Problem.TOO_LONG: gettext_lazy("une URL compte au plus %(max)d caractères."),
    Problem.SCHEME: gettext_lazy("une URL de notification commence par https:// ou http://."),
    Problem.NO_HOST: gettext_lazy("l'URL n'a pas de nom de serveur."),
    Problem.USERINFO: gettext_lazy("l'URL ne doit contenir ni identifiant ni mot de passe."),
    Problem.FRAGMENT: gettext_lazy("retirez ce qui suit le caractère # : un serveur ne le reçoit jamais."),
    Problem.PORT_SPELLING: gettext_lazy("« %(port)s » n'est pas un numéro de port."),
    Problem.PORT: gettext_lazy("le port %(port)s n'est pas autorisé : seuls le sont 80, 443 et 1024 à 65535."),
    Problem.HOST_ENCODED: gettext_lazy("un nom de serveur s'écrit en clair, sans caractère encodé."),
    Problem.HOST_LABEL: gettext_lazy(
        "entre deux points, un nom de serveur compte 1 à 63 caractères, et il ne finit pas par un point."
    ),
    Problem.ADDRESS_SPELLING: gettext_lazy("« %(address)s » n'est pas une adresse IP dans son écriture habituelle."),
    Problem.LOCAL_NAME: gettext_lazy("la plateforme appelle l'URL depuis ses serveurs : un nom local n'y mène pas."),
    Problem.SPECIAL_ADDRESS: gettext_lazy("cette adresse appartient à un réseau privé ou réservé (%(network)s)."),
}


def shown(typed: str) -> str:
    """A refused URL, shortened, what cannot be seen in it marked."""
    visible = "".join(character if character.isprintable() else "�" for character in typed)
    return visible if len(visible) <= 120 else visible[:119] + "…"


def reason(bad: BadUrl) -> str:
    """Why a URL is refused, after its name and a colon."""
    match bad.problem:
        case Problem.CHARACTERS:
            said = _("une URL ne contient ni espace, ni barre oblique inverse, ni caractère de contrôle ou invisible.")
            return " ".join([said, _("Retirez le caractère %(code)s.") % {"code": bad.detail}]) if bad.detail else said
        case Problem.HOST_DISGUISED:
            return _disguised(bad)
    text = _REASONS.get(bad.problem, gettext_lazy("ce n'est pas une URL valide."))
    return str(text) % {"max": MAX_LENGTH, "port": bad.detail[:20], "address": bad.detail[:60], "network": bad.detail}


def _disguised(bad: BadUrl) -> str:
    characters = hosts.named(bad.disguised)
    if not bad.detail:
        return _("le nom de serveur contient des caractères déguisés : %(characters)s.") % {"characters": characters}
    return _(
        "le nom de serveur contient des caractères déguisés : écrivez « %(name)s ». À remplacer : %(characters)s."
    ) % {"name": bad.detail, "characters": characters}
