"""The demonstration's letters and incidents: one sent, one in draft; one resolved, one running."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from companies.audit import Actor
from notifications.broadcasts import broadcasting as broadcasts
from notifications.broadcasts import incidents, newsletters
from notifications.models import Broadcast, Incident, IncidentUpdate, Newsletter

At = Callable[..., AbstractContextManager[datetime]]

SENT: dict[str, Any] = {
    "title_fr": "Ce qui change avant les fêtes",
    "text_fr": (
        "Bonjour,\n\n"
        "Les volumes doublent en décembre. Trois choses à vérifier dès maintenant :\n\n"
        "- **l'URL de notification** de chaque boutique répond en moins de dix secondes ;\n"
        "- les **contacts en cas d'incident** sont à jour, y compris la nuit ;\n"
        "- les destinataires de vos règles travaillent encore chez vous.\n\n"
        "## Gel des évolutions\n\n"
        "Aucune évolution de la plateforme n'est mise en ligne du 15 décembre au 5 janvier. "
        "L'[état des services](https://status.backoffice.example/) reste à jour jour et nuit."
    ),
    "title_en": "What changes before the holidays",
    "text_en": (
        "Hello,\n\n"
        "Volumes double in December. Three things to check now:\n\n"
        "- the **notification URL** of each shop answers in less than ten seconds;\n"
        "- the **incident contacts** are up to date, at night too;\n"
        "- the recipients of your rules still work with you.\n\n"
        "## Change freeze\n\n"
        "No change to the platform goes live from 15 December to 5 January. "
        "The [service status](https://status.backoffice.example/) is kept up to date day and night."
    ),
}
DRAFT: dict[str, Any] = {
    "title_fr": "Authentification forte : le calendrier de 2027",
    "text_fr": "Bonjour,\n\nLe calendrier de 2027 est connu. **À compléter.**",
    "title_en": "Strong authentication: the 2027 calendar",
    "text_en": "Hello,\n\nThe 2027 calendar is known. **To be completed.**",
}
# (days before now, minutes, state, French, English) of each message.
RESOLVED: tuple[tuple[float, float, str, str, str], ...] = (
    (
        16.3, 0, "investigating",
        "Une partie des autorisations CB est refusée depuis quelques minutes. Nous cherchons la cause.",
        "Some CB authorisations have been refused for a few minutes. We are looking for the cause.",
    ),
    (
        16.3, -38, "identified",
        "Un des deux liens vers le réseau CB est coupé chez l'opérateur. Le trafic passe sur l'autre lien.",
        "One of the two links to the CB network is cut at the carrier. Traffic goes over the other link.",
    ),
    (
        16.3, -95, "resolved",
        "Le lien est rétabli. Les paiements refusés pendant l'incident **ne sont pas représentés** : l'acheteur peut recommencer.",
        "The link is back. Payments refused during the incident are **not presented again**: the buyer can retry.",
    ),
)  # fmt: skip
RUNNING: tuple[tuple[float, float, str, str, str], ...] = (
    (
        0, 52, "investigating",
        "Les appels à l'URL de notification partent avec jusqu'à cinq minutes de retard. Aucun n'est perdu.",
        "Calls to notification URLs leave up to five minutes late. None is lost.",
    ),
    (
        0, 21, "identified",
        "Un serveur d'envoi est saturé ; nous en ajoutons un. Le retard diminue.",
        "A sending server is saturated; we are adding one. The delay is shrinking.",
    ),
)  # fmt: skip


def tell(at: At, references: Sequence[str]) -> None:
    """Write them through the services, each at its time.

    Args:
        at: context manager that moves what is written inside to `days` and `minutes` before now.
        references: the only companies the letters go to.
    """
    team = Actor("Équipe plateforme")
    with at(days=9.4) as moment:
        letter = newsletters.newsletter_create(actor=team, **SENT, audience={"references": list(references)})
        broadcast = newsletters.newsletter_send(newsletter=letter, actor=team)
        while broadcasts.advance(broadcast.pk):
            pass
    _move(moment, newsletters=[letter], broadcasts=[broadcast])
    with at(days=1.1) as moment:
        draft = newsletters.newsletter_create(actor=team, **DRAFT, audience={"references": list(references)})
    _move(moment, newsletters=[draft])
    _incident(
        at, team, RESOLVED, impact="partial", title_fr="Autorisations CB refusées", title_en="CB authorisations refused"
    )
    _incident(
        at, team, RUNNING, impact="degraded", title_fr="Appels à l'URL de notification en retard",
        title_en="Late calls to notification URLs",
    )  # fmt: skip


def _incident(at: At, team: Actor, story: Sequence[tuple[float, float, str, str, str]], **fields: Any) -> None:
    incident: Incident | None = None
    for days, minutes, state, text_fr, text_en in story:
        with at(days=days, minutes=minutes) as moment:
            told = {"state": state, "text_fr": text_fr, "text_en": text_en}
            if incident is None:
                fields["started_at"] = moment - timedelta(minutes=6)
                incident = incidents.incident_open(actor=team, at=moment, **told, **fields)
            else:
                incidents.incident_tell(incident=incident, actor=team, at=moment, **told)
            update = IncidentUpdate.objects.latest("pk")
        _move(moment, broadcasts=[update.broadcast])


def _move(
    moment: datetime,
    *,
    newsletters: Sequence[Newsletter] = (),
    broadcasts: Sequence[Broadcast] = (),
) -> None:
    """The times of these rows, which the context manager does not know."""
    Newsletter.objects.filter(pk__in=[row.pk for row in newsletters]).update(created_at=moment, updated_at=moment)
    Broadcast.objects.filter(pk__in=[row.pk for row in broadcasts]).update(started_at=moment)
