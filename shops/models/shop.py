"""A shop."""

from datetime import datetime, timedelta

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from backoffice.base.fields import LineField, LinkField, OneEmailField
from companies.models import Company, Language, Status

site_id_validator = RegexValidator(r"^[0-9]{8}\Z", _("Un identifiant boutique compte exactement 8 chiffres."))


# After a change of algorithm, signatures made with the former one are still accepted that long
# (reference, settings screens 4.4).
ALGORITHM_OVERLAP = timedelta(hours=24)


# As long, after a new value of a key, calls carry a second signature made with the former one.
KEY_OVERLAP = timedelta(hours=24)


class SignatureAlgorithm(models.TextChoices):
    HMAC_SHA_256 = "HMAC-SHA-256", "HMAC-SHA-256"
    SHA_1 = "SHA-1", "SHA-1"


class Shop(models.Model):
    """A point of sale of a company.

    `manager_email` empty means: inherited live from the company's Contact gestionnaire
    (docs/rules.md 4.1); never copy that address into it.
    """

    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="shops", verbose_name=_("société"))
    site_id = models.CharField(_("identifiant boutique"), max_length=8, unique=True, validators=[site_id_validator])
    name = LineField(_("nom de la boutique"), max_length=200)
    url = LinkField(_("URL de la boutique"), max_length=500, blank=True)
    language = models.CharField(_("langue"), max_length=2, choices=Language, default=Language.FRENCH)
    manager_email = OneEmailField(_("e-mail gestionnaire"), blank=True, default="")
    status = models.CharField(_("état"), max_length=10, choices=Status, default=Status.ACTIVE)
    status_reason = LineField(_("motif de l'état"), max_length=300, blank=True)
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
    tests_done_reason = LineField(_("motif de fin de la phase de test"), max_length=300, blank=True)
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
