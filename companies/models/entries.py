"""The history of every change."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from companies.models.companies import Company
from companies.models.history import HistoryErasure


class AuditEntry(models.Model):
    """One change of a setting: who, when, from where, what, before and after.

    Written by `audit.record` only; the database refuses to change or remove it (`history_guard`).
    `changes` maps a field name to `[before, after]`; secrets stand in it masked.
    """

    company = models.ForeignKey(
        Company,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="audit_entries",
        verbose_name=_("société"),
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("auteur"),
    )
    actor_label = models.CharField(_("auteur"), max_length=200)
    at = models.DateTimeField(_("le"), default=timezone.now)
    ip_address = models.GenericIPAddressField(_("depuis"), null=True, blank=True)
    # The shop it is about, whatever the kind of object.
    shop = models.ForeignKey(
        "shops.Shop", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("boutique")
    )
    action = models.CharField(_("action"), max_length=60)
    object_type = models.CharField(pgettext_lazy("of a change", "objet"), max_length=40)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(_("désignation"), max_length=200)
    changes = models.JSONField(_("modifications"), default=dict)
    # Digest of the words above, salted so that an erased address cannot be guessed from it.
    content_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    salt = models.CharField(max_length=32, blank=True, editable=False)
    erasure = models.ForeignKey(
        HistoryErasure, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta:
        verbose_name = _("modification")
        verbose_name_plural = _("historique")
        ordering = ["-at", "-pk"]
        indexes = [
            # Serves the history page and "modified by" lines: newest first within a company.
            models.Index(fields=["company", "-at", "-id"], name="audit_company_newest"),
            models.Index(fields=["object_type", "object_id", "-at"], name="audit_object_newest"),
            # Serves the team's list.
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            # Serves the history of one shop.
            models.Index(fields=["shop", "-at"], condition=models.Q(shop__isnull=False), name="audit_shop_newest"),
        ]

    def __str__(self) -> str:
        return self.object_label
