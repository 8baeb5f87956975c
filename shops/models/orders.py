"""Payment orders with their history, and the message templates of a shop."""

import secrets
import uuid
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from backoffice.base.fields import LineField, LinesField, OneEmailField, currency_validator
from companies.models import Language

MAX_VALIDITY_DAYS = 90
DEFAULT_VALIDITY_DAYS = 30

reference_validator = RegexValidator(
    r"^[A-Za-z0-9._-]{1,64}\Z",
    _("Une référence compte 1 à 64 lettres sans accent, chiffres ou caractères . _ -"),
)


def new_token() -> str:
    """The unguessable part of a public link: 256 random bits."""
    return secrets.token_urlsafe(32)


def end_of_day(day: date, time_zone: str) -> datetime:
    """The moment a validity that ends on `day` is over: the next midnight of the company."""
    return datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(time_zone))


class Mode(models.TextChoices):
    TEST = "TEST", "TEST"
    PRODUCTION = "PRODUCTION", "PRODUCTION"


class PaymentOrder(models.Model):
    """One payment asked of one buyer.

    `status` is what people and payments made of it; whether an open order has expired follows from
    `expires_at` alone (`state_at`), so that it is right at any clock. The worker writes EXPIRED when
    it notices, for the history.
    """

    class Status(models.TextChoices):
        IN_PROGRESS = "in_progress", pgettext_lazy("payment order", "En cours")
        FINALISED = "finalised", pgettext_lazy("payment order", "Finalisé")
        EXPIRED = "expired", pgettext_lazy("payment order", "Expiré")
        CANCELLED = "cancelled", pgettext_lazy("payment order", "Annulé")

    # Neither paid nor cancelled: the date decides between the two.
    OPEN = (Status.IN_PROGRESS, Status.EXPIRED)

    class Channel(models.TextChoices):
        EMAIL = "email", _("E-mail")
        URL = "url", _("Lien")

    class Origin(models.TextChoices):
        """Origin of the order, and source of its payments (docs/rules.md 4b)."""

        PAYMENT_ORDER = "PAYMENT_ORDER", _("Ordre de paiement")
        DATA_FORM = "DCF", _("Formulaire de collecte de données")

    class Validation(models.TextChoices):
        SHOP = "", _("Réglage de la boutique")
        AUTOMATIC = "automatic", _("Automatique")
        MANUAL = "manual", _("Manuelle")

    class Result(models.TextChoices):
        ACCEPTED = "accepted", pgettext_lazy("payment", "Accepté")
        REFUSED = "refused", pgettext_lazy("payment", "Refusé")
        ABANDONED = "abandoned", pgettext_lazy("payment", "Abandonné")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    shop = models.ForeignKey(
        "shops.Shop", on_delete=models.PROTECT, related_name="payment_orders", verbose_name=_("boutique")
    )
    mode = models.CharField(_("mode"), max_length=10, choices=Mode)
    source = models.CharField(_("origine"), max_length=20, choices=Origin, default=Origin.PAYMENT_ORDER, editable=False)
    reference = models.CharField(_("référence"), max_length=64, validators=[reference_validator])
    amount = models.PositiveBigIntegerField(_("montant (plus petite unité)"))
    currency = models.CharField(_("devise"), max_length=3, validators=[currency_validator])
    channel = models.CharField(_("canal d'envoi"), max_length=10, choices=Channel)
    recipient = OneEmailField(_("e-mail de l'acheteur"), blank=True, default="")
    buyer_reference = LineField(_("référence de l'acheteur"), max_length=64, blank=True)
    language = models.CharField(_("langue"), max_length=2, choices=Language, default=Language.FRENCH)
    # As written, placeholders included: they are filled in when the message leaves.
    subject = LineField(_("objet"), max_length=200)
    body = LinesField(_("message"), max_length=5000)
    valid_until = models.DateField(_("valable jusqu'au"))
    # The end of `valid_until` in the company's time zone.
    expires_at = models.DateTimeField(editable=False)
    status = models.CharField(_("statut de l'ordre"), max_length=12, choices=Status, default=Status.IN_PROGRESS)
    copy_to_manager = models.BooleanField(_("copie à l'e-mail gestionnaire"), default=False)
    extra_copy = OneEmailField(_("autre adresse en copie cachée"), blank=True, default="")
    validation = models.CharField(_("validation"), max_length=10, choices=Validation, blank=True, default="")
    capture_delay = models.PositiveSmallIntegerField(
        _("délai avant remise (jours)"), null=True, blank=True, validators=[MaxValueValidator(365)]
    )
    # When the worker is to send it; empty: sent at once, or not by e-mail.
    send_at = models.DateTimeField(_("envoi différé au"), null=True, blank=True)
    # The event of the newest sending: its deliveries give the send state.
    sending = models.CharField(max_length=200, blank=True, editable=False)
    # A link that the merchant said to have handed over.
    handed_over_at = models.DateTimeField(_("remis le"), null=True, blank=True)
    last_result = models.CharField(_("dernier paiement"), max_length=10, choices=Result, blank=True, editable=False)
    transaction_id = models.CharField(_("transaction"), max_length=64, blank=True, editable=False)
    finalised_at = models.DateTimeField(_("finalisé le"), null=True, blank=True, editable=False)
    created_by = models.CharField(_("créé par"), max_length=200, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(_("créé le"), default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("ordre de paiement")
        verbose_name_plural = _("ordres de paiement")
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_order_amount_positive"),
            models.CheckConstraint(
                condition=~Q(channel="email") | ~Q(recipient=""), name="payment_order_by_email_has_recipient"
            ),
        ]
        indexes = [
            # Serves the list of orders: newest first, TEST and PRODUCTION apart.
            models.Index(fields=["shop", "mode", "-created_at"], name="order_newest"),
            # Serves the payments that come in by reference.
            models.Index(fields=["shop", "reference"], name="order_reference"),
            # Serve the worker's look at the clock: few rows at any time.
            models.Index(fields=["send_at"], condition=Q(send_at__isnull=False), name="order_to_send"),
            models.Index(fields=["expires_at"], condition=Q(status="in_progress"), name="order_to_expire"),
        ]

    def __str__(self) -> str:
        return self.reference

    def state_at(self, now: datetime) -> str:
        """The status at a moment: an order that is neither paid nor cancelled expires by its date."""
        if self.status in self.OPEN:
            return self.Status.EXPIRED if self.expires_at <= now else self.Status.IN_PROGRESS
        return self.status

    @property
    def state(self) -> str:
        return self.state_at(timezone.now())

    @property
    def state_label(self) -> str:
        return str(self.Status(self.state).label)


class PaymentOrderEntry(models.Model):
    """One line of an order's own history: what the merchant, the buyer or the clock did."""

    class Kind(models.TextChoices):
        CREATED = "created", _("Ordre créé")
        SENT = "sent", _("Ordre envoyé")
        RESENT = "resent", _("Ordre renvoyé")
        NOT_SENT = "not_sent", _("Envoi différé abandonné")
        UPDATED = "updated", _("Ordre modifié")
        VALIDITY = "validity", _("Date de validité modifiée")
        CANCELLED = "cancelled", _("Ordre annulé")
        REACTIVATED = "reactivated", _("Ordre réactivé")
        EXPIRED = "expired", _("Ordre expiré")
        HANDED_OVER = "handed_over", _("Lien indiqué comme envoyé")
        ACCEPTED = "accepted", _("Paiement accepté")
        REFUSED = "refused", _("Paiement refusé")
        ABANDONED = "abandoned", _("Paiement abandonné par l'acheteur")
        PROBLEM = "problem", _("Problème signalé par l'acheteur")

    order = models.ForeignKey(PaymentOrder, on_delete=models.CASCADE, related_name="entries")
    kind = models.CharField(_("événement"), max_length=12, choices=Kind)
    at = models.DateTimeField(_("date"), default=timezone.now)
    actor = models.CharField(_("auteur"), max_length=200, blank=True)
    details = models.JSONField(default=dict, blank=True)
    # The event that was published with it, where one was.
    event_id = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = _("ligne d'historique d'un ordre de paiement")
        verbose_name_plural = _("historique des ordres de paiement")
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.order_id} {self.kind}"


class PaymentOrderTemplate(models.Model):
    """A ready message of a shop in one language; at most one per language is the default."""

    shop = models.ForeignKey(
        "shops.Shop", on_delete=models.CASCADE, related_name="payment_order_templates", verbose_name=_("boutique")
    )
    language = models.CharField(_("langue"), max_length=2, choices=Language, default=Language.FRENCH)
    name = LineField(pgettext_lazy("of a thing", "nom"), max_length=100)
    subject = LineField(_("objet"), max_length=200)
    body = LinesField(_("message"), max_length=5000)
    is_default = models.BooleanField(_("modèle par défaut"), default=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("modèle d'ordre de paiement")
        verbose_name_plural = _("modèles d'ordres de paiement")
        ordering = ["language", "name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "language", "name"],
                name="order_template_name_once",
                violation_error_message=_("Un modèle de cette boutique porte déjà ce nom dans cette langue."),
            ),
            models.UniqueConstraint(
                fields=["shop", "language"], condition=Q(is_default=True), name="order_template_one_default"
            ),
        ]

    def __str__(self) -> str:
        return self.name
