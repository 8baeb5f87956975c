"""How the health of an address looks on pages: `{% load health_tags %}`."""

from django import template
from django.utils.safestring import SafeString

from backoffice.base import shell
from notifications.core import health_wording
from notifications.core.address_health import AddressState, HealthFacts
from notifications.models import AddressSign

register = template.Library()

# state → kind of badge, icon
_LOOKS = {
    AddressState.UNVERIFIED: ("off", "minus"),
    AddressState.VERIFIED: ("ok", "check"),
    AddressState.BOUNCING: ("warn", "retry"),
    AddressState.SUPPRESSED: ("fail", "cross"),
}


@register.simple_tag
def health_badge(health: HealthFacts) -> SafeString:
    """The state of an address in a word with a shape."""
    kind, icon = _LOOKS[health.state]
    return shell.badge(kind, health_wording.state_label(health.state), icon)


@register.filter
def health_reason(health: HealthFacts) -> str:
    """Why it is in this state; empty where nothing is known."""
    return health_wording.state_reason(health) or ""


@register.filter
def sign_words(sign: AddressSign) -> str:
    """One refusal in plain words, with those of the server."""
    return health_wording.refusal(sign.code, sign.words)
