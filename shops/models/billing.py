"""Price lists, billing documents and their number series. Knows nothing of notifications."""

import uuid
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _gettext
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from backoffice.base.fields import LineField, ReadableJSONField, currency_validator
from companies.models import Company, Language
from shops.models.shop import Shop


class PriceList(models.Model):
    """What each billed event costs. Documents keep the prices they were issued with."""

    name = LineField(pgettext_lazy("of a thing", "nom"), max_length=100, unique=True)
    currency = models.CharField(_("devise"), max_length=3, default="EUR", validators=[currency_validator])
    tax_rate = models.DecimalField(
        _("taux de TVA en pour cent"),
        max_digits=5,
        decimal_places=2,
        default=20,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
    )
    is_default = models.BooleanField(_("proposé d'abord"), default=False)
    created_at = models.DateTimeField(_("créé le"), auto_now_add=True)
    updated_at = models.DateTimeField(_("modifié le"), auto_now=True)

    class Meta:
        verbose_name = _("tarif")
        verbose_name_plural = _("tarifs")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="price_list_one_default"),
            models.CheckConstraint(condition=Q(tax_rate__gte=0, tax_rate__lte=100), name="price_list_tax_rate"),
        ]

    def __str__(self) -> str:
        return self.name


class PriceItem(models.Model):
    """The price of one unit of one kind of event, exact to a hundredth of a cent."""

    price_list = models.ForeignKey(PriceList, on_delete=models.CASCADE, related_name="items", verbose_name=_("tarif"))
    code = models.CharField(_("prestation"), max_length=40)
    unit_price = models.DecimalField(
        _("prix unitaire"), max_digits=12, decimal_places=4, validators=[MinValueValidator(0)]
    )

    class Meta:
        verbose_name = _("prix")
        verbose_name_plural = _("prix")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["price_list", "code"], name="price_once_per_list"),
            models.CheckConstraint(condition=Q(unit_price__gte=0), name="price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.unit_price}"


class NumberSeries(models.Model):
    """The last number given in a series, taken in the transaction of the document: no gap, no repeat."""

    kind = models.CharField(max_length=12)
    year = models.PositiveSmallIntegerField()
    last = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("série de numéros")
        verbose_name_plural = _("séries de numéros")
        constraints = [models.UniqueConstraint(fields=["kind", "year"], name="series_once_per_kind_and_year")]

    def __str__(self) -> str:
        return f"{self.kind} {self.year}: {self.last}"


class BillingDocument(models.Model):
    """A shop's detailed billing, or the credit note that cancels one. Never changed once issued: the database
    refuses it (`guard`).

    `lines` holds {"code", "label", "quantity", "unit_price", "amount"} with decimals as text; `customer`
    and `issuer` are what stood on the document when it was issued.
    """

    class Kind(models.TextChoices):
        INVOICE = "invoice", pgettext_lazy("billing", "Facture")
        CREDIT_NOTE = "credit_note", pgettext_lazy("billing", "Avoir")

    class Source(models.TextChoices):
        EVENTS = "events", _("événements de la boutique")
        CSV = "csv", _("fichier CSV")
        PDF = "pdf", _("fichier PDF")
        CREDIT = "credit", _("avoir")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    shop = models.ForeignKey(
        Shop, on_delete=models.PROTECT, related_name="billing_documents", verbose_name=_("boutique")
    )
    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, related_name="billing_documents", verbose_name=_("société")
    )
    kind = models.CharField(_("type"), max_length=12, choices=Kind, default=Kind.INVOICE)
    source = models.CharField(_("origine"), max_length=10, choices=Source)
    number = models.CharField(_("numéro"), max_length=20, unique=True)
    credits = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="credit_note", verbose_name=_("annule")
    )
    period_start = models.DateField(_("du"))
    period_end = models.DateField(_("au"))
    issued_at = models.DateTimeField(_("émise le"), default=timezone.now)
    language = models.CharField(_("langue"), max_length=2, choices=Language)
    currency = models.CharField(_("devise"), max_length=3, validators=[currency_validator])
    tax_rate = models.DecimalField(_("taux de TVA en pour cent"), max_digits=5, decimal_places=2)
    net = models.DecimalField(_("total hors taxes"), max_digits=16, decimal_places=4)
    tax = models.DecimalField(_("TVA"), max_digits=16, decimal_places=4)
    gross = models.DecimalField(_("total toutes taxes comprises"), max_digits=16, decimal_places=4)
    lines = ReadableJSONField(_("lignes"), default=list)
    customer = ReadableJSONField(_("client"), default=dict)
    issuer = ReadableJSONField(_("émetteur"), default=dict)
    file = models.BinaryField(_("document"), editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    actor_label = models.CharField(_("émise par"), max_length=200)
    # The event that announced it, to find its mail in the journal.
    event_id = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        verbose_name = _("facturation détaillée")
        verbose_name_plural = _("facturations détaillées")
        ordering = ["-issued_at", "-number"]
        constraints = [
            models.CheckConstraint(condition=Q(period_end__gte=F("period_start")), name="billing_period_in_order"),
            # SQLite adds up binary fractions: less than a tenth of a cent apart is equal.
            models.CheckConstraint(
                condition=Q(
                    gross__gt=F("net") + F("tax") - Decimal("0.001"), gross__lt=F("net") + F("tax") + Decimal("0.001")
                ),
                name="billing_total_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(kind="invoice", credits__isnull=True) | Q(kind="credit_note", credits__isnull=False),
                name="billing_credit_note_credits",
            ),
        ]
        indexes = [
            # Serves the merchant's list, newest first.
            models.Index(fields=["company", "-issued_at"], name="billing_company_newest"),
        ]
        permissions = [("issue_billing", "Can issue billing documents")]

    def __str__(self) -> str:
        return self.number

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ValidationError(_gettext("Un document émis ne change plus : émettez un avoir."))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise ValidationError(_gettext("Un document émis n'est pas supprimé : émettez un avoir."))

    @property
    def file_name(self) -> str:
        return f"{self.number}.pdf"


class BillingDraft(models.Model):
    """An uploaded file that waits between its preview and its issue."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="+", verbose_name=_("boutique"))
    price_list = models.ForeignKey(PriceList, on_delete=models.CASCADE, related_name="+", verbose_name=_("tarif"))
    source = models.CharField(max_length=10, choices=BillingDocument.Source)
    period_start = models.DateField()
    period_end = models.DateField()
    lines = ReadableJSONField(default=list)
    net = models.DecimalField(max_digits=16, decimal_places=4, null=True)
    file = models.BinaryField()
    file_name = models.CharField(max_length=200)
    actor_label = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("brouillon de facturation")
        verbose_name_plural = _("brouillons de facturation")

    def __str__(self) -> str:
        return self.file_name
