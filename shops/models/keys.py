"""The keys of a shop."""

import uuid
from datetime import datetime

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backoffice.base.crypto import EncryptedTextField
from shops.models.shop import Shop


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
    SIGNING = (*FORM, Kind.REST_TEST, Kind.REST_PRODUCTION)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="keys", verbose_name=_("boutique"))
    kind = models.CharField(_("clé"), max_length=20, choices=Kind)
    value = EncryptedTextField(_("valeur"))
    # Grows with each new value, so that a repeated form does not replace the key a second time.
    generation = models.PositiveIntegerField(default=1, editable=False)
    changed_at = models.DateTimeField(_("en vigueur depuis"), default=timezone.now, editable=False)
    # The value before this one, until the overlap is over; only of keys that sign calls.
    former_value = EncryptedTextField(blank=True, default="", db_default="", editable=False)
    former_until = models.DateTimeField(null=True, blank=True, editable=False)
    shown_at = models.DateTimeField(_("montrée le"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("créée le"), auto_now_add=True)

    class Meta:
        verbose_name = _("clé")
        verbose_name_plural = _("clés")
        ordering = ["kind"]
        constraints = [models.UniqueConstraint(fields=["shop", "kind"], name="key_once_per_kind")]
        indexes = [
            # Serves the worker, which forgets former values: there are few.
            models.Index(
                fields=["former_until"], condition=models.Q(former_until__isnull=False), name="key_former_value"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.shop}"

    @property
    def history_label(self) -> str:
        """What the history stores; it is put into words in the reader's language."""
        return f"{self.kind}, {self.shop}"

    def values_at(self, now: datetime) -> tuple[str, ...]:
        """The value, and the former one while the overlap lasts."""
        value: str = self.value
        if self.former_until is None or self.former_until <= now or not self.former_value:
            return (value,)
        return (value, self.former_value)

    @property
    def is_public(self) -> bool:
        return self.kind in self.PUBLIC
