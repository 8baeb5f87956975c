"""Mail servers of companies: what a merchant's own mail goes out through."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backoffice.base.crypto import EncryptedTextField
from backoffice.base.fields import LineField
from companies.models import Company


class CompanyRelay(models.Model):
    """The SMTP server of a company, saved only after it has taken a connection and a log-in."""

    class Security(models.TextChoices):
        STARTTLS = "starttls", _("STARTTLS (port 587)")
        TLS = "tls", _("TLS dès la connexion (port 465)")
        NONE = "none", _("aucun chiffrement")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.OneToOneField(
        Company, on_delete=models.CASCADE, related_name="relay", verbose_name=_("société"), editable=False
    )
    host = LineField(_("serveur SMTP"), max_length=253)
    port = models.PositiveIntegerField(
        _("port"), default=587, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    security = models.CharField(_("chiffrement"), max_length=10, choices=Security, default=Security.STARTTLS)
    username = LineField(_("identifiant"), max_length=200, blank=True)
    password = EncryptedTextField(_("mot de passe"), blank=True, editable=False)
    # Empty: the platform's sender.
    sender = LineField(_("adresse d'expéditeur"), max_length=254, blank=True)
    falls_back = models.BooleanField(
        _("passer par le serveur de la plateforme quand celui-ci ne répond pas"), default=True
    )
    changed_at = models.DateTimeField(_("enregistré le"), default=timezone.now, editable=False)
    changed_by = models.CharField(_("par"), max_length=200, editable=False)

    class Meta:
        verbose_name = _("serveur d'envoi d'une société")
        verbose_name_plural = _("serveurs d'envoi des sociétés")

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """As breakers, limits and the journal call it."""
        return f"{self.host}:{self.port}"[:300]

    @property
    def breaker_name(self) -> str:
        """Of its breaker: another company's troubles with the same server are its own."""
        return f"{self.name} ({self.company_id})"[:300]
