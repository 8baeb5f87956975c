"""How much mail may go out: per domain of recipients and per mail server, over all workers."""

from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from backoffice.base.fields import LineField


class SendingLimit(models.Model):
    """A limit of rate, of connections or of both, and what was used of its present window.

    Its name is a domain of recipients (`gmail.com`) or a mail server as `host:port`.
    """

    name = LineField(_("domaine, ou serveur d'envoi (nom:port)"), max_length=300, unique=True)
    per_minute = models.PositiveIntegerField(
        _("e-mails par minute"), null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(1_000_000)]
    )
    connections = models.PositiveSmallIntegerField(
        _("connexions à la fois"), null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    # By the clock of the database, since all workers count here.
    window_at = models.DateTimeField(null=True, blank=True, editable=False)
    used = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("limite d'envoi")
        verbose_name_plural = _("limites d'envoi")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(per_minute__isnull=False) | Q(connections__isnull=False), name="sending_limit_limits"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def window(self) -> timedelta:
        """Short windows keep mail flowing evenly; a rate of less than one in ten seconds needs a whole minute."""
        return timedelta(seconds=10 if self.per_minute and self.per_minute >= 60 else 60)

    @property
    def capacity(self) -> int:
        """How many mails a window takes."""
        return int((self.per_minute or 0) * self.window.total_seconds() // 60)


class LimitTurn(models.Model):
    """Up to when the mail of one company is booked under a limit; a row only while some waits."""

    limit = models.ForeignKey(SendingLimit, on_delete=models.CASCADE, db_index=False, related_name="turns")
    # 0: mail of the platform itself.
    company = models.BigIntegerField()
    next_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["limit", "company"], name="limit_turn_once")]

    def __str__(self) -> str:
        return f"{self.limit_id} {self.company}"


class LimitSlot(models.Model):
    """One of the connections that a limit allows, and which worker has it."""

    limit = models.ForeignKey(SendingLimit, on_delete=models.CASCADE, db_index=False, related_name="slots")
    number = models.PositiveSmallIntegerField()
    owner = models.CharField(max_length=120, blank=True, editable=False)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["limit", "number"], name="limit_slot_once")]

    def __str__(self) -> str:
        return f"{self.limit_id} {self.number}"
