"""The circuit breaker of a mail server: after some refusals of us in a row nothing is tried, but one mail at a time.

It stands in the database, so that all workers wait for the same server, and only one of them probes. What a server says
of a recipient, or of a message, is no refusal of us and never counts.
"""

import time
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from notifications.models import Breaker
from notifications.outbox.transports.base import Result
from notifications.outbox.transports.routes import platform_relay

log = structlog.get_logger(__name__)

# Refusals in a row, each of one mail, until sending waits.
OPENS_AFTER = 5
PROBE_SECONDS = 60
# How old a worker's view of the breaker may get.
READ_SECONDS = 1.0


def refused(name: str, result: Result) -> bool:
    """Count a refusal of us by a server; returns whether its breaker is open after it."""
    with transaction.atomic():
        Breaker.objects.bulk_create([Breaker(relay=name)], ignore_conflicts=True)
        row = Breaker.objects.select_for_update().get(relay=name)
        row.failures = F("failures") + 1
        row.reply = result.error[:512]
        row.save(update_fields=["failures", "reply"])
        ripe = Breaker.objects.filter(relay=name, failures__gte=OPENS_AFTER)
        is_open = bool(ripe.update(probe_at=Now() + timedelta(seconds=PROBE_SECONDS)))
        if ripe.filter(opened_at=None).update(opened_at=Now()):
            log.error("relay_closed", relay=name, reply=result.error[:200])
    return is_open


def answered(name: str) -> None:
    """The server took a mail, or spoke of a recipient: it is there for us."""
    if Breaker.objects.filter(relay=name).delete()[0]:
        log.warning("relay_open_again", relay=name)


class Gate:
    """Whether the circuit breaker lets a worker send now; the database is read at most once a second.

    Args:
        name: of the breaker; empty: that of the platform's server.
        waits: False for who was told by a person to send now: refusals count, and nothing waits for them.
    """

    def __init__(self, name: str = "", *, waits: bool = True) -> None:
        self._own, self._waits = name, waits
        self._until = 0.0
        self._most: int | None = None
        self._is_known = False

    @property
    def _name(self) -> str:
        return self._own or platform_relay()

    def most(self) -> int | None:
        """How many mails may be claimed: None as many as wished, 0 none, 1 to probe."""
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + READ_SECONDS
            self._most = self._asked()
        return self._most

    def _asked(self) -> int | None:
        row = Breaker.objects.filter(relay=self._name).first()
        self._is_known = row is not None
        if row is None or row.opened_at is None or not self._waits:
            return None
        # A probe that is further away than any was put off to: the clock was put back.
        ripe = Q(probe_at__lte=Now()) | Q(probe_at__gt=Now() + timedelta(seconds=2 * PROBE_SECONDS))
        due = Breaker.objects.filter(ripe, pk=row.pk, opened_at__isnull=False)
        # Whoever moves the time on is the one that probes.
        return 1 if due.update(probe_at=Now() + timedelta(seconds=PROBE_SECONDS)) else 0

    def probing(self) -> None:
        """The probe is claimed; no other until its answer is known."""
        if self._most == 1:
            self._most = 0

    def note(self, results: list[Result]) -> None:
        """Follow what came of mails; costs nothing while all is well."""
        ours = [result for result in results if result.whole_queue]
        if len(ours) < len(results) and self._is_known:
            answered(self._name)
            self._is_known, self._until = False, 0.0
        if ours:
            refused(self._name, ours[0])
            self._is_known, self._until = True, 0.0
