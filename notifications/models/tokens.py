"""Tokens of the API."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from backoffice.base.fields import CodeSetField, LineField
from companies.models import Company


class ApiToken(models.Model):
    """A bearer token of the API, stored hashed; scoped to the platform or to one company."""

    class Scope(models.TextChoices):
        EVENTS = "events:write", _("Transmettre des événements")
        TABLES = "tables:read", _("Lire qui reçoit quoi")
        DELIVERIES = "deliveries:read", _("Lire le journal des envois")
        SETTINGS_READ = "settings:read", _("Lire le paramétrage")
        # With it a program may do what an administrator may, also make one.
        SETTINGS_WRITE = "settings:write", _("Modifier le paramétrage, comptes et droits compris")

    class State(models.TextChoices):
        ACTIVE = "active", _("actif")
        EXPIRING = "expiring", _("à renouveler")
        REPLACED = "replaced", _("remplacé")
        EXPIRED = "expired", _("expiré")
        REVOKED = "revoked", _("révoqué")

    # From then on screens and the consistency report call for a successor.
    SOON = timedelta(days=30)
    # Characters of a token that are kept and shown, to tell it from others.
    SHOWN = 12

    name = LineField(pgettext_lazy("of a thing", "nom"), max_length=100)
    company = models.ForeignKey(
        Company,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="api_tokens",
        verbose_name=_("société"),
        help_text=_("Vide : toute la plateforme."),
    )
    # NULL: everything, as for tokens made before there were scopes.
    scopes = CodeSetField(_("portée"), null=True, blank=True)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(_("début du jeton"), max_length=SHOWN, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(_("créé le"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expire le"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("dernière utilisation"), null=True, blank=True, editable=False)
    last_used_ip = models.GenericIPAddressField(_("depuis"), null=True, blank=True, editable=False)
    # A successor was made; this one only runs out.
    replaced_at = models.DateTimeField(_("remplacé le"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("révoqué le"), null=True, blank=True)

    class Meta:
        verbose_name = _("jeton d'API")
        verbose_name_plural = _("jetons d'API")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    @property
    def state(self) -> str:
        """One of State: revoked beats expired, expired beats replaced."""
        now = timezone.now()
        if self.revoked_at is not None:
            return self.State.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return self.State.EXPIRED
        if self.replaced_at is not None:
            return self.State.REPLACED
        soon = self.expires_at is not None and self.expires_at <= now + self.SOON
        return self.State.EXPIRING if soon else self.State.ACTIVE

    @property
    def allowed(self) -> list[str]:
        """Its scopes in the order of Scope."""
        return [code for code in self.Scope.values if self.scopes is None or code in self.scopes]

    @property
    def scope_labels(self) -> list[str]:
        return [str(self.Scope(code).label) for code in self.allowed]
