"""Shops and what belongs to one shop. Knows nothing of notifications (DESIGN 6)."""

import uuid

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from backoffice.crypto import EncryptedTextField
from backoffice.fields import OneEmailField
from companies.models import Company, Language, Status

site_id_validator = RegexValidator(r"^[0-9]{8}\Z", _("Un identifiant boutique compte exactement 8 chiffres."))


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


class ShopKey(models.Model):
    """A secret of a shop: form key or REST password, of TEST or PRODUCTION. Encrypted at rest."""

    class Kind(models.TextChoices):
        TEST = "test", _("Clé de test")
        PRODUCTION = "production", _("Clé de production")
        REST_TEST = "rest_test", _("Mot de passe de test (API REST)")
        REST_PRODUCTION = "rest_production", _("Mot de passe de production (API REST)")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="keys", verbose_name=_("boutique"))
    kind = models.CharField(_("clé"), max_length=20, choices=Kind)
    value = EncryptedTextField(_("valeur"))
    created_at = models.DateTimeField(_("créée le"), auto_now_add=True)

    class Meta:
        verbose_name = _("clé")
        verbose_name_plural = _("clés")
        ordering = ["kind"]
        constraints = [models.UniqueConstraint(fields=["shop", "kind"], name="key_once_per_kind")]

    def __str__(self) -> str:
        return str(self.get_kind_display())
