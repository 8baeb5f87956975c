"""The health of addresses: the state of each in a company, and the refusals it comes from."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from companies.models import Company
from notifications.core.address_health import AddressState, HealthFacts
from notifications.core.health_wording import STATE_LABELS
from notifications.models.deliveries import Delivery


class AddressHealth(models.Model):
    """The state of an address in a company; an address without a row is unverified, and nothing is known of it."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, db_index=False, related_name="address_health", verbose_name=_("société")
    )
    normalised_address = models.CharField(_("adresse"), max_length=500)
    state = models.CharField(
        _("état"), max_length=12, choices=tuple(STATE_LABELS.items()), default=AddressState.UNVERIFIED
    )
    since = models.DateTimeField(_("dans cet état depuis"), null=True, blank=True)
    # An `address_health.Cause`, with what the server said; after a reactivation the words name who asked.
    cause = models.CharField(max_length=12, blank=True, editable=False)
    code = models.CharField(_("code"), max_length=12, blank=True)
    words = models.CharField(_("réponse du serveur"), max_length=300, blank=True)
    verified_at = models.DateTimeField(_("vérifiée le"), null=True, blank=True)
    # When the last verification mail was asked for.
    asked_at = models.DateTimeField(_("vérification demandée le"), null=True, blank=True)

    class Meta:
        verbose_name = _("santé d'une adresse")
        verbose_name_plural = _("santé des adresses")
        constraints = [
            models.UniqueConstraint(fields=["company", "normalised_address"], name="health_once_per_address")
        ]

    def __str__(self) -> str:
        return f"{self.normalised_address} · {self.get_state_display()}"

    @property
    def history_label(self) -> str:
        return self.normalised_address

    @property
    def facts(self) -> HealthFacts:
        return HealthFacts(AddressState(self.state), self.since, self.cause, self.code, self.words)


class AddressSign(models.Model):
    """One refusal that concerns an address: from the dialogue with a server, a notice, or a provider."""

    class Kind(models.TextChoices):
        HARD = "hard", _("Définitif")
        SOFT = "soft", _("Passager")

    class Via(models.TextChoices):
        SMTP = "smtp", _("Réponse du serveur")
        NOTICE = "notice", _("Avis de non-remise")
        PROVIDER = "provider", _("Fournisseur d'envoi")

    health = models.ForeignKey(AddressHealth, on_delete=models.CASCADE, db_index=False, related_name="signs")
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="signs")
    # When the mail was sent or tried, by the clock of sending.
    at = models.DateTimeField(_("date"))
    noted_at = models.DateTimeField(default=timezone.now, editable=False)
    kind = models.CharField(_("gravité"), max_length=4, choices=Kind)
    via = models.CharField(_("source"), max_length=8, choices=Via)
    # Said that the mail is late, not that it failed.
    is_delay = models.BooleanField(default=False)
    # Counts no more: the address was verified or reactivated since.
    is_settled = models.BooleanField(default=False)
    code = models.CharField(_("code"), max_length=12, blank=True)
    words = models.CharField(_("réponse du serveur"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("refus d'une adresse")
        verbose_name_plural = _("refus des adresses")
        ordering = ["-at", "-pk"]
        indexes = [
            # Serves the count of refusals since the last success, and the page of the address.
            models.Index(fields=["health", "-at"], name="sign_of_address"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.code}"
