"""Proof of the history: seals over its entries, and the record of every erasure.

The triggers of `history_guard` hold the rules in the database itself.
"""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class HistoryErasure(models.Model):
    """One erasure of an address (a personal-data request): the only way to change entries of the history.

    While `is_open`, and only then, the database lets the transaction that made this row blank the
    words of an entry. Neither the address nor a way back to it is kept, only its keyed hash.
    """

    at = models.DateTimeField(_("le"), default=timezone.now)
    actor_label = models.CharField(_("auteur"), max_length=200)
    address_hash = models.CharField(_("empreinte de l'adresse"), max_length=64)
    counts = models.JSONField(_("lignes traitées"), default=dict)
    is_open = models.BooleanField(default=True, editable=False)

    class Meta:
        verbose_name = _("effacement")
        verbose_name_plural = _("effacements")
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return self.address_hash[:12]


class HistorySeal(models.Model):
    """A digest over entries of the history and over the seal before: the chain that shows a removal."""

    at = models.DateTimeField(default=timezone.now)
    count = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("scellé de l'historique")
        verbose_name_plural = _("scellés de l'historique")

    def __str__(self) -> str:
        return f"{self.pk} {self.digest[:12]}"


class SealedEntry(models.Model):
    """Which seal covers an entry. Holds the key only, so that a removed entry is still known here."""

    entry_id = models.BigIntegerField(primary_key=True)
    seal = models.ForeignKey(HistorySeal, on_delete=models.PROTECT, related_name="entries")
    digest = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("ligne scellée")
        verbose_name_plural = _("lignes scellées")

    def __str__(self) -> str:
        return str(self.entry_id)
