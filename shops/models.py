"""Shops and what belongs to one shop. Knows nothing of notifications (DESIGN 6)."""

import uuid
from datetime import datetime, timedelta

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backoffice.crypto import EncryptedTextField
from backoffice.fields import OneEmailField
from companies.models import Company, Language, Status

site_id_validator = RegexValidator(r"^[0-9]{8}\Z", _("Un identifiant boutique compte exactement 8 chiffres."))


# After a change of algorithm, signatures made with the former one are still accepted that long
# (reference, settings screens 4.4).
ALGORITHM_OVERLAP = timedelta(hours=24)


class SignatureAlgorithm(models.TextChoices):
    HMAC_SHA_256 = "HMAC-SHA-256", "HMAC-SHA-256"
    SHA_1 = "SHA-1", "SHA-1"


class Shop(models.Model):
    """A point of sale of a company.

    `manager_email` empty means: inherited live from the company's Contact gestionnaire
    (DESIGN 4.1); never copy that address into it.
    """

    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="shops", verbose_name=_("société"))
    site_id = models.CharField(_("identifiant boutique"), max_length=8, unique=True, validators=[site_id_validator])
    name = models.CharField(_("nom de la boutique"), max_length=200)
    url = models.URLField(_("URL de la boutique"), max_length=500, blank=True)
    language = models.CharField(_("langue"), max_length=2, choices=Language, default=Language.FRENCH)
    manager_email = OneEmailField(_("e-mail gestionnaire"), blank=True, default="")
    status = models.CharField(_("état"), max_length=10, choices=Status, default=Status.ACTIVE)
    status_reason = models.CharField(_("motif de l'état"), max_length=300, blank=True)
    status_since = models.DateTimeField(_("dans cet état depuis"), null=True, blank=True, editable=False)
    algorithm_test = models.CharField(
        _("algorithme de signature (test)"),
        max_length=20,
        choices=SignatureAlgorithm,
        default=SignatureAlgorithm.HMAC_SHA_256,
    )
    algorithm_production = models.CharField(
        _("algorithme de signature (production)"),
        max_length=20,
        choices=SignatureAlgorithm,
        default=SignatureAlgorithm.HMAC_SHA_256,
    )
    # Since when the algorithm of a mode is the present one; empty: since the shop exists.
    algorithm_test_since = models.DateTimeField(null=True, blank=True, editable=False)
    algorithm_production_since = models.DateTimeField(null=True, blank=True, editable=False)
    # The test phase before the production key; the reason is given where a person declared it done.
    tests_done_at = models.DateTimeField(_("phase de test terminée le"), null=True, blank=True, editable=False)
    tests_done_reason = models.CharField(_("motif de fin de la phase de test"), max_length=300, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(_("créée le"), auto_now_add=True)
    updated_at = models.DateTimeField(_("modifiée le"), auto_now=True)

    class Meta:
        verbose_name = _("boutique")
        verbose_name_plural = _("boutiques")
        ordering = ["site_id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(site_id__regex=r"^[0-9]{8}$"), name="shop_site_id_is_8_digits")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.site_id})"

    def former_algorithm_until(self, mode: str, now: datetime) -> datetime | None:
        """Until when signatures of the former algorithm are accepted; None once that is over.

        Args:
            mode: TEST or PRODUCTION.
        """
        since: datetime | None = getattr(self, f"algorithm_{mode.lower()}_since")
        end = since + ALGORITHM_OVERLAP if since else None
        return end if end is not None and now < end else None

    def accepted_algorithms(self, mode: str, now: datetime) -> tuple[str, ...]:
        """The algorithms an incoming signature may have been made with, the present one first."""
        present = getattr(self, f"algorithm_{mode.lower()}")
        if self.former_algorithm_until(mode, now) is None:
            return (present,)
        return (present, *(name for name in SignatureAlgorithm.values if name != present))


NETWORKS_WITHOUT_CARD = frozenset({"SEPA"})


class Contract(models.Model):
    """A merchant ID (MID) with an acquirer, through which the shop takes payments."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="contracts", verbose_name=_("boutique"))
    number = models.CharField(_("numéro de contrat"), max_length=40)
    network = models.CharField(_("réseau"), max_length=40)
    three_d_secure = models.BooleanField(_("3D Secure activé"), default=False)

    class Meta:
        verbose_name = _("contrat")
        verbose_name_plural = _("contrats")
        ordering = ["number", "network"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "number", "network"], name="contract_once_per_shop_and_network")
        ]

    def __str__(self) -> str:
        return f"{self.number} ({self.network})"

    @property
    def takes_cards(self) -> bool:
        """Whether 3D Secure, which authenticates the holder of a card, makes sense here."""
        return self.network.upper() not in NETWORKS_WITHOUT_CARD


class ShopKey(models.Model):
    """A secret of a shop: form key or REST key, of TEST or PRODUCTION. Encrypted at rest.

    Shown to a person once: at its generation, or later where nobody has seen it yet. Only the
    public keys are no secret, because they stand in the merchant's pages.
    """

    class Kind(models.TextChoices):
        TEST = "test", _("Clé de test")
        PRODUCTION = "production", _("Clé de production")
        REST_TEST = "rest_test", _("Mot de passe de test (API REST)")
        REST_PRODUCTION = "rest_production", _("Mot de passe de production (API REST)")
        PUBLIC_TEST = "public_test", _("Clé publique de test (API REST)")
        PUBLIC_PRODUCTION = "public_production", _("Clé publique de production (API REST)")
        HMAC_TEST = "hmac_test", _("Clé HMAC-SHA-256 de test (API REST)")
        HMAC_PRODUCTION = "hmac_production", _("Clé HMAC-SHA-256 de production (API REST)")

    # Named groups: the keys of the form, and those of the REST API by mode.
    FORM = (Kind.TEST, Kind.PRODUCTION)
    REST = {
        "test": (Kind.REST_TEST, Kind.PUBLIC_TEST, Kind.HMAC_TEST),
        "production": (Kind.REST_PRODUCTION, Kind.PUBLIC_PRODUCTION, Kind.HMAC_PRODUCTION),
    }
    PUBLIC = (Kind.PUBLIC_TEST, Kind.PUBLIC_PRODUCTION)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="keys", verbose_name=_("boutique"))
    kind = models.CharField(_("clé"), max_length=20, choices=Kind)
    value = EncryptedTextField(_("valeur"))
    # Grows with each new value, so that a repeated form does not replace the key a second time.
    generation = models.PositiveIntegerField(default=1, editable=False)
    changed_at = models.DateTimeField(_("en vigueur depuis"), default=timezone.now, editable=False)
    shown_at = models.DateTimeField(_("montrée le"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("créée le"), auto_now_add=True)

    class Meta:
        verbose_name = _("clé")
        verbose_name_plural = _("clés")
        ordering = ["kind"]
        constraints = [models.UniqueConstraint(fields=["shop", "kind"], name="key_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.shop}"

    @property
    def history_label(self) -> str:
        """What the history stores; it is put into words in the reader's language."""
        return f"{self.kind}, {self.shop}"

    @property
    def is_public(self) -> bool:
        return self.kind in self.PUBLIC


# Last, because they point at Shop: models of these parts belong to this app as well.
from .billing.models import BillingDocument, BillingDraft, NumberSeries, PriceItem, PriceList  # noqa: E402, F401
from .dataforms.models import DataCollectionForm, DataFormAnswer, DataFormVersion  # noqa: E402, F401
from .orders.models import PaymentOrder, PaymentOrderEntry, PaymentOrderTemplate  # noqa: E402, F401
