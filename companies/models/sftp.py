"""SFTP accounts."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from backoffice.base.crypto import EncryptedTextField
from backoffice.base.fields import OneEmailField
from companies.models.companies import Company, Language


class SftpAccount(models.Model):
    """Account of the file-transfer service; its secret is revealed once, by a mailed link."""

    class State(models.TextChoices):
        """What an administrator sees of an account; derived, see `state`."""

        WAITING = "waiting", pgettext_lazy("SFTP account", "En attente d'affichage")
        LAPSED = "lapsed", pgettext_lazy("SFTP account", "Lien expiré")
        ACTIVE = "active", pgettext_lazy("SFTP account", "Actif")
        EXPIRED = "expired", pgettext_lazy("SFTP account", "Mot de passe expiré")
        DISABLED = "disabled", pgettext_lazy("SFTP account", "Désactivé")

    # A password is good for two years; its owner is reminded on the page a month before.
    VALID_FOR = timedelta(days=730)
    SOON = timedelta(days=30)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, related_name="sftp_accounts", verbose_name=_("société")
    )
    login = models.CharField(
        _("identifiant"),
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
                _("Un identifiant compte 1 à 64 lettres sans accent, chiffres ou caractères . _ -"),
            )
        ],
    )
    email = OneEmailField(_("e-mail"))
    language = models.CharField(_("langue"), max_length=2, choices=Language, blank=True)
    is_active = models.BooleanField(_("actif"), default=True)
    password_hash = models.CharField(max_length=200, blank=True, editable=False)
    unrevealed_password = EncryptedTextField(blank=True, default="", editable=False)
    password_set_at = models.DateTimeField(_("mot de passe du"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("créé le"), auto_now_add=True)

    class Meta:
        verbose_name = _("compte SFTP")
        verbose_name_plural = _("comptes SFTP")
        ordering = ["login"]
        constraints = [models.UniqueConstraint(Lower("login"), name="sftp_login_unique_without_case")]

    def __str__(self) -> str:
        return self.login

    @property
    def expires_at(self) -> datetime:
        return (self.password_set_at or self.created_at) + self.VALID_FOR

    @property
    def expires_soon(self) -> bool:
        return self.expires_at - self.SOON <= timezone.now()

    @property
    def state(self) -> str:
        """One of State. An unopened link expires like every link."""
        now = timezone.now()
        if not self.is_active:
            return self.State.DISABLED
        if self.unrevealed_password:
            made = self.password_set_at or self.created_at
            link_is_good = made + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT) > now
            return self.State.WAITING if link_is_good else self.State.LAPSED
        return self.State.ACTIVE if self.expires_at > now else self.State.EXPIRED
