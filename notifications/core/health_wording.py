"""The health of an address in words, in the active language."""

from datetime import UTC
from typing import Any

from django.utils.encoding import force_str
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from notifications.core.address_health import SOFT_LIMIT, AddressState, Cause, HealthFacts

STATE_LABELS: dict[str, Promise] = {
    AddressState.UNVERIFIED: pgettext_lazy("address", "Non vérifiée"),
    AddressState.VERIFIED: pgettext_lazy("address", "Vérifiée"),
    AddressState.BOUNCING: pgettext_lazy("address", "En difficulté"),
    AddressState.SUPPRESSED: pgettext_lazy("address", "Neutralisée"),
}

# What the codes of servers mean; the first that fits counts.
_MEANINGS: dict[str, Promise] = {
    "5.1.1": gettext_lazy("Cette boîte n'existe pas chez le destinataire."),
    "5.1.2": gettext_lazy("Le domaine de cette adresse n'existe pas."),
    "5.1.3": gettext_lazy("L'adresse est mal formée pour le serveur du destinataire."),
    "5.1.6": gettext_lazy("La boîte a été déplacée sans laisser d'adresse."),
    "5.1.10": gettext_lazy("Le domaine de cette adresse ne reçoit pas d'e-mail."),
    "5.2.1": gettext_lazy("La boîte est désactivée et n'accepte plus d'e-mail."),
    "2.2": gettext_lazy("La boîte est pleine."),
    "2.3": gettext_lazy("Le message dépasse la taille que la boîte accepte."),
    "4": gettext_lazy("Le serveur du destinataire n'a pas pu être joint."),
    "7": gettext_lazy("Le serveur du destinataire a refusé le message pour une raison de sécurité ou de filtrage."),
}
_REFUSED = gettext_lazy("Le serveur du destinataire a refusé le message.")


def state_label(state: str) -> str:
    return force_str(STATE_LABELS[state])


def meaning(code: str) -> str:
    """What a status code says, in plain words."""
    subject = code.partition(".")[2]
    told = _MEANINGS.get(code) or _MEANINGS.get(subject) or _MEANINGS.get(subject.partition(".")[0])
    return force_str(told or _REFUSED)


def refusal(code: str, words: str) -> str:
    """A refusal in plain words, with those of the server."""
    told = meaning(code)
    if words:
        return _("%(meaning)s Réponse du serveur : « %(words)s »") % {"meaning": told, "words": words}
    return _("%(meaning)s (code %(code)s)") % {"meaning": told, "code": code} if code else told


def state_reason(health: HealthFacts) -> str | None:
    """Why an address is in its state; None where nothing is known of it."""
    match health.cause:
        case Cause.LINK:
            return _("Le lien de l'e-mail de vérification a été ouvert et confirmé.")
        case Cause.LOGIN:
            return _("Une connexion a eu lieu par un lien envoyé à cette adresse.")
        case Cause.DELIVERED:
            return _("Un message a de nouveau été accepté.")
        case Cause.REACTIVATED:
            return _("Réactivée par %(who)s.") % {"who": health.words}
        case Cause.PERSISTENT:
            told = _("Au moins %(n)d échecs passagers en trois jours ou plus, sans aucun succès.") % {"n": SOFT_LIMIT}
            return f"{told} {refusal(health.code, health.words)}"
        case Cause.SOFT | Cause.HARD:
            return refusal(health.code, health.words)
    return None


def health_json(health: HealthFacts) -> dict[str, Any]:
    """`state`, `state_since` and `state_reason` of the delivery tables (docs/rules.md 7.9)."""
    since = health.since.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") if health.since else None
    return {
        "state": health.state.value,
        "state_since": f"{since}Z" if since else None,
        "state_reason": state_reason(health),
    }
