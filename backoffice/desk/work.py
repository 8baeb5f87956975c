"""The list of what waits for staff: each entry is a count with a link to exactly those rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

from backoffice.base import endless
from backoffice.desk.search import list_of, may_view
from companies.staff.endless import PeriodFilter, between
from notifications import tokens
from notifications.core.catalogue import Channel
from notifications.health.critical import critical_suppressed
from notifications.models import AddressHealth, ApiToken, Breaker, Delivery, Hold, Incident
from notifications.outbox import backlog
from shops.models import DataFormVersion

# Days of which what died is listed: what is older was seen, or is history.
DEAD_DAYS = "7"


@dataclass(frozen=True)
class Task:
    """One line of the list.

    Attributes:
        count: how many; `endless.CEILING` at most.
        label: the number and what they are.
        hint: what is to be done about them.
    """

    count: int
    label: str
    url: str
    hint: str


def _counted(rows: QuerySet[Any]) -> tuple[int, bool]:
    counted = rows.order_by()[: endless.CEILING + 1].count()
    return min(counted, endless.CEILING), counted > endless.CEILING


def _line(rows: QuerySet[Any], label: Any, hint: str, url: str) -> Iterator[Task]:
    """One line where there are any rows; the label takes their number."""
    count, is_more = _counted(rows)
    if count:
        said = str(label % {"n": count})
        yield Task(count, _("plus de %(rows)s") % {"rows": said} if is_more else said, url, hint)


# --- Each kind ------------------------------------------------------------------------------------


def _to_approve(request: HttpRequest) -> Iterator[Task]:
    if may_view(request, DataFormVersion):
        state = DataFormVersion.State.REQUESTED
        yield from _line(
            DataFormVersion.objects.filter(state=state),
            ngettext_lazy(
                "%(n)d formulaire à mettre en ligne ou à refuser",
                "%(n)d formulaires à mettre en ligne ou à refuser",
                "n",
            ),
            _("Le marchand attend la décision."),
            list_of(DataFormVersion, state__exact=state),
        )


def _incidents(request: HttpRequest) -> Iterator[Task]:
    if may_view(request, Incident):
        yield from _line(
            Incident.objects.filter(resolved_at__isnull=True),
            ngettext_lazy("%(n)d incident ouvert", "%(n)d incidents ouverts", "n"),
            _("Publiez où on en est, ou la fin de l'incident."),
            list_of(Incident, open=1),
        )


def _dead(request: HttpRequest) -> Iterator[Task]:
    if not may_view(request, Delivery):
        return
    dead = Delivery.objects.filter(between("created_at", DEAD_DAYS), status=Delivery.Status.DEAD)
    labels = {
        Channel.EMAIL: (ngettext_lazy("%(n)d e-mail abandonné en 7 jours", "%(n)d e-mails abandonnés en 7 jours", "n"), _("Corrigez l'adresse ou le réglage, puis remettez-les en file.")),
        Channel.IPN: (ngettext_lazy("%(n)d appel d'URL abandonné en 7 jours", "%(n)d appels d'URL abandonnés en 7 jours", "n"), _("Le serveur du marchand ne répond pas comme il devrait.")),
    }  # fmt: skip
    for channel, (label, hint) in labels.items():
        asked = {PeriodFilter.parameter_name: DEAD_DAYS, "status__exact": "dead", "channel__exact": channel.value}
        yield from _line(dead.filter(channel=channel), label, hint, list_of(Delivery, **asked))


def _queues(request: HttpRequest) -> Iterator[Task]:
    if not may_view(request, Delivery):
        return
    late = Delivery.objects.filter(backlog.condition(backlog.LATE))
    hint = _("Prêts depuis plus de 15 minutes : une pause, ou trop peu de processus d'envoi.")
    yield from _line(
        late,
        ngettext_lazy("%(n)d envoi en retard", "%(n)d envois en retard", "n"),
        hint,
        list_of(Delivery, backlog=backlog.LATE),
    )
    waiting = Delivery.objects.filter(backlog.condition(backlog.SETTINGS))
    hint = _("Ils partent d'eux-mêmes une fois le réglage de la plateforme corrigé.")
    yield from _line(
        waiting,
        ngettext_lazy("%(n)d e-mail attend un réglage", "%(n)d e-mails attendent un réglage", "n"),
        hint,
        list_of(Delivery, backlog=backlog.SETTINGS),
    )
    sending = reverse("admin:sending")
    hint = _("Rien ne sort de ce qui est en pause tant que personne ne la termine.")
    yield from _line(
        Hold.objects.all(), ngettext_lazy("%(n)d pause d'envoi", "%(n)d pauses d'envoi", "n"), hint, f"{sending}#holds"
    )
    hint = _("L'envoi attend que le serveur accepte de nouveau.")
    closed = Breaker.objects.filter(opened_at__isnull=False)
    yield from _line(
        closed,
        ngettext_lazy("%(n)d serveur d'envoi nous refuse", "%(n)d serveurs d'envoi nous refusent", "n"),
        hint,
        f"{sending}#breakers",
    )


def _addresses(request: HttpRequest) -> Iterator[Task]:
    if may_view(request, AddressHealth):
        yield from _line(
            AddressHealth.objects.filter(pk__in=critical_suppressed()),
            ngettext_lazy(
                "%(n)d contact dont l'adresse est neutralisée", "%(n)d contacts dont l'adresse est neutralisée", "n"
            ),
            _("La société ne reçoit plus ce qui compte : prévenez-la autrement."),
            list_of(AddressHealth, critical=1),
        )


def _tokens(request: HttpRequest) -> Iterator[Task]:
    if may_view(request, ApiToken):
        state = ApiToken.State.EXPIRING
        yield from _line(
            tokens.in_state(ApiToken.objects.all(), state),
            ngettext_lazy(
                "%(n)d jeton d'API expire dans les 30 jours", "%(n)d jetons d'API expirent dans les 30 jours", "n"
            ),
            _("Un successeur doit être fait avant cette date."),
            list_of(ApiToken, state=state),
        )


KINDS: tuple[Callable[[HttpRequest], Iterator[Task]], ...] = (
    _incidents,
    _queues,
    _to_approve,
    _addresses,
    _dead,
    _tokens,
)


def to_do(request: HttpRequest) -> list[Task]:
    """What waits, most urgent kinds first, of what the reader may look at; empty when all is done."""
    return [line for kind in KINDS for line in kind(request)]
