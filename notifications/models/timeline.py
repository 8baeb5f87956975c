"""The settings of every moment, as the database itself records them."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class RecordedSetting(models.Model):
    """What an object of the settings held from one moment to another; an open end: what it holds now.

    Written by triggers of the tables themselves (`notifications/timeline/recording.py`), so by whatever way a
    setting changes, in the transaction of the change, at the cost of the rows that changed.
    """

    class Kind(models.TextChoices):
        COMPANY = "company"
        CONTACT = "contact"
        SHOP = "shop"
        RULE = "rule"
        USER = "user"
        SFTP_ACCOUNT = "sftp"
        ADDRESS = "address"

    kind = models.CharField(max_length=10, choices=Kind, editable=False)
    # Keys are numbers or UUIDs, these without hyphens.
    object_key = models.CharField(max_length=36, editable=False)
    # What it belongs to: a company; for a rule its shop.
    parent = models.BigIntegerField(null=True)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    # column → value, as `recording.RECORDED` lists them
    content = models.JSONField(editable=False)

    class Meta:
        verbose_name = _("réglage conservé")
        verbose_name_plural = _("réglages conservés")
        indexes = [
            # Serves the settings of a moment: everything of a company, or the rules of its shops.
            models.Index(fields=["kind", "parent", "since"], name="recorded_of_parent"),
            # Serves the change of an object: its version in force, which ends.
            models.Index(fields=["kind", "object_key"], condition=Q(until__isnull=True), name="recorded_in_force"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_key} · {self.since:%Y-%m-%d %H:%M}"
