"""What people say about the coverage: gaps they accept, and mail that its reader should not get."""

from datetime import date

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from companies.models import Company
from notifications.core import catalogue
from notifications.models.rules import NotificationRule
from shops.models import Shop


class AcknowledgedGap(models.Model):
    """A cell of the coverage that reaches nobody, accepted by an administrator until a day, that day included."""

    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, related_name="acknowledged_gaps", verbose_name=_("société")
    )
    shop = models.ForeignKey(
        Shop,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="acknowledged_gaps",
        verbose_name=_("boutique"),
    )
    notification = models.CharField(_("notification"), max_length=40, choices=catalogue.CHOICES)
    until = models.DateField(_("accepté jusqu'au"))
    acknowledged_by = models.CharField(_("accepté par"), max_length=200)
    acknowledged_at = models.DateTimeField(_("accepté le"), default=timezone.now)

    class Meta:
        verbose_name = _("manque accepté")
        verbose_name_plural = _("manques acceptés")
        ordering = ["company", "notification", "shop"]
        constraints = [
            # Two, because nulls are distinct in one.
            models.UniqueConstraint(
                fields=["company", "notification", "shop"], condition=Q(shop__isnull=False), name="gap_once_per_shop"
            ),
            models.UniqueConstraint(
                fields=["company", "notification"], condition=Q(shop__isnull=True), name="gap_once_per_company"
            ),
        ]

    def __str__(self) -> str:
        return self.history_label

    @property
    def history_label(self) -> str:
        return f"{self.notification}, {self.shop.name}" if self.shop else self.notification

    def is_in_force(self, today: date) -> bool:
        return self.until >= today


class MailRemark(models.Model):
    """« Je ne devrais pas recevoir ces messages », said by a reader through the link of a mail, once per line.

    Open until somebody who answers for the setting closes it, or the line is gone.
    """

    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, related_name="mail_remarks", verbose_name=_("société")
    )
    shop = models.ForeignKey(
        Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="mail_remarks", verbose_name=_("boutique")
    )
    rule = models.ForeignKey(
        NotificationRule,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="mail_remarks",
        verbose_name=_("règle"),
    )
    notification = models.CharField(_("notification"), max_length=40, choices=catalogue.CHOICES)
    account = models.CharField(_("compte"), max_length=64, blank=True)
    source = models.CharField(max_length=20, editable=False)
    address = models.CharField(_("adresse"), max_length=500)
    normalised_address = models.CharField(max_length=500, editable=False)
    # A digest of company, notification, shop, rule, account and address: what makes a line one of its kind.
    line_key = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("reçue le"), default=timezone.now)
    closed_at = models.DateTimeField(_("traitée le"), null=True, blank=True)
    closed_by = models.CharField(_("traitée par"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("remarque d'un destinataire")
        verbose_name_plural = _("remarques des destinataires")
        ordering = ["-created_at", "-pk"]
        indexes = [
            # Serves the home page: few remarks are open.
            models.Index(fields=["company", "-created_at"], condition=Q(closed_at__isnull=True), name="remark_open"),
        ]

    def __str__(self) -> str:
        return self.history_label

    @property
    def history_label(self) -> str:
        return f"{self.notification}, {self.shop.name}" if self.shop else self.notification
