"""State shared by operators and workers of the outbox: pauses, heartbeats, the clock, circuit breakers, alerts."""

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from backoffice.base.fields import LineField
from companies.models import Company


class Lane(models.TextChoices):
    """The queues of mail; calls have none, their endpoints take turns."""

    MAIL = "mail", pgettext_lazy("lane", "courante")
    ACCOUNT = "account", pgettext_lazy("lane", "comptes et sécurité")
    INCIDENT = "incident", pgettext_lazy("lane", "incidents")


class Hold(models.Model):
    """A pause: what fits every field that is set stays in the queue. One without any stops everything."""

    company = models.ForeignKey(
        Company,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        db_index=False,
        related_name="holds",
        verbose_name=_("société"),
    )
    channel = models.CharField(
        _("canal"), max_length=10, blank=True, choices=[("email", _("E-mail")), ("ipn", _("Appel URL"))]
    )
    lane = models.CharField(pgettext_lazy("lane", "file"), max_length=10, blank=True, choices=Lane)
    # As `Delivery.endpoint`: scheme, host and port of a notification URL.
    endpoint = models.CharField(_("serveur appelé"), max_length=300, blank=True)
    reason = LineField(_("raison"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("depuis le"), default=timezone.now)
    created_by = models.CharField(_("par"), max_length=200)

    class Meta:
        verbose_name = _("pause d'envoi")
        verbose_name_plural = _("pauses d'envoi")
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                Coalesce(F("company"), Value(0)), F("channel"), F("lane"), F("endpoint"), name="hold_once"
            ),
            # Calls stand in no lane, and only they have an endpoint.
            models.CheckConstraint(condition=~Q(channel="ipn") | Q(lane=""), name="hold_lane_of_mail"),
            models.CheckConstraint(
                condition=Q(endpoint="") | (Q(lane="") & ~Q(channel="email")), name="hold_endpoint_of_calls"
            ),
        ]

    def __str__(self) -> str:
        parts = [
            self.company.name if self.company else "",
            self.get_channel_display() if self.channel else "",
            self.get_lane_display() if self.lane else "",
            self.endpoint,
        ]
        return " · ".join(str(part) for part in parts if part) or str(_("tout"))


class Worker(models.Model):
    """A process that sends, as long as it gives signs of life."""

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=10)
    started_at = models.DateTimeField()
    # By the clock of the database, as all times here that processes compare.
    seen_at = models.DateTimeField()
    # What it did: minute since 1970 → [sent, retry, dead], of the last quarter of an hour.
    minutes = models.JSONField(default=dict)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Tick(models.Model):
    """The clock of the platform: one row. The worker that moves it on does what is due."""

    at = models.DateTimeField()
    worker = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.at.isoformat()


class Breaker(models.Model):
    """A mail server that refused us: how often in a row, and whether sending waits for it."""

    relay = models.CharField(max_length=300, unique=True)
    failures = models.PositiveIntegerField(default=0)
    reply = models.CharField(max_length=512, blank=True)
    # None: mail goes out.
    opened_at = models.DateTimeField(null=True, blank=True)
    probe_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["relay"]

    def __str__(self) -> str:
        return self.relay


class StaffAlert(models.Model):
    """A problem that needs staff, from its first detection until its end."""

    part = models.CharField(max_length=40, unique=True)
    text = models.CharField(max_length=500)
    since = models.DateTimeField()
    # When a mail last told of it.
    told_at = models.DateTimeField()
    # Whether the present time it lasts was told; what comes and goes is not, again and again.
    is_told = models.BooleanField(default=True)
    # None: it lasts.
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["since"]

    def __str__(self) -> str:
        return self.part
