"""Which notification URLs may be saved, and the sentence for each that may not.

What a URL says is read by `targets`, as the door does that calls it; the address a name leads to is
checked there, at every connection (docs/rules.md 5.4).
"""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from backoffice.text import targets
from backoffice.text.targets import BadUrl
from backoffice.text.url_words import reason, shown

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
        raise _refusal(typed, reason(bad)) from None
    if production and target.scheme == "http" and not http_confirmed and not settings.IPN_ALLOW_PRIVATE_NETWORKS:
        raise _refusal(
            typed,
            _(
                "en mode PRODUCTION, une URL commence par https://. Pour appeler quand même en clair, "
                "confirmez « http:// accepté en mode PRODUCTION » dans la règle."
            ),
        )
    return typed


def _refusal(typed: str, why: str) -> ValidationError:
    return ValidationError(_("« %(url)s » : %(reason)s") % {"url": shown(typed), "reason": why}, code="invalid_url")
