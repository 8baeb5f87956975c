"""Users, their sessions, devices and log-ins."""

import uuid
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from backoffice.base.fields import LineField, OneEmailField
from companies.models.companies import Company, Language, validate_time_zone


class UserManager(BaseUserManager["User"]):
    def create_user(self, login: str, email: str = "", password: str | None = None, **fields: Any) -> "User":
        user = self.model(login=login.strip(), email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, login: str, email: str = "", password: str | None = None, **fields: Any) -> "User":
        return self.create_user(login, email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who logs in: a merchant's user (with `company`) or staff (`is_staff`).

    `company` is the company whose administrators manage the account; a `Membership` says what the
    user may do there, and possibly in further companies.
    """

    class State(models.TextChoices):
        """What an administrator sees of an account; derived, see `state`."""

        INVITED = "invited", pgettext_lazy("user account", "Invité")
        ACTIVE = "active", pgettext_lazy("user account", "Actif")
        LOCKED = "locked", pgettext_lazy("user account", "Verrouillé")
        DISABLED = "disabled", pgettext_lazy("user account", "Désactivé")

    login = models.CharField(
        _("identifiant"),
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}\Z",
                _("Un identifiant compte 1 à 64 lettres sans accent, chiffres ou caractères . _ + @ -"),
            )
        ],
    )
    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, null=True, blank=True, related_name="users", verbose_name=_("société")
    )
    email = OneEmailField(_("e-mail"))
    # Where its owner is known to read, see `verified`; empty: nobody else ever changed `email`.
    verified_email = OneEmailField(_("adresse vérifiée"), blank=True, default="", db_default="", editable=False)
    title = LineField(_("civilité"), max_length=20, blank=True)
    first_name = LineField(_("prénom"), max_length=100, blank=True)
    last_name = LineField(_("nom"), max_length=100, blank=True)
    phone = LineField(_("téléphone"), max_length=30, blank=True)
    language = models.CharField(_("langue"), max_length=2, choices=Language, blank=True)
    time_zone = models.CharField(_("fuseau horaire"), max_length=64, blank=True, validators=[validate_time_zone])
    is_active = models.BooleanField(_("actif"), default=True)
    is_staff = models.BooleanField(_("équipe de la plateforme"), default=False)
    date_joined = models.DateTimeField(_("créé le"), default=timezone.now)
    # Wrong passwords since the last good one, and until when the right one is refused too.
    failed_logins = models.PositiveIntegerField(default=0, editable=False)
    locked_until = models.DateTimeField(_("verrouillé jusqu'à"), null=True, blank=True, editable=False)
    # What each use of an operator's log-in link changes, so that it works once (`links`).
    login_links_used = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "login"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email"]

    class Meta:
        verbose_name = _("compte utilisateur")
        verbose_name_plural = _("comptes utilisateurs")
        ordering = ["login"]
        constraints = [models.UniqueConstraint(Lower("login"), name="user_login_unique_without_case")]

    def __str__(self) -> str:
        return self.login

    def get_full_name(self) -> str:
        return " ".join(filter(None, [self.first_name, self.last_name])) or self.login

    def get_short_name(self) -> str:
        return self.first_name or self.login

    @property
    def link_email(self) -> str:
        """The address that links which open the account, and messages about its security, go to."""
        return self.verified_email or self.email

    @property
    def is_locked(self) -> bool:
        return self.locked_until is not None and self.locked_until > timezone.now()

    @property
    def state(self) -> str:
        """One of State: disabled beats locked, locked beats invited (no password chosen yet)."""
        if not self.is_active:
            return self.State.DISABLED
        if self.is_locked:
            return self.State.LOCKED
        return self.State.ACTIVE if self.has_usable_password() else self.State.INVITED


class LoginRecord(models.Model):
    """One log-in that succeeded, or a wrong password; shown to the user and to administrators.

    Without a user: a wrong guess at an identifier that nobody has, of which only a keyed hash is kept.
    """

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, null=True, blank=True, related_name="logins", verbose_name=_("compte")
    )
    typed = models.CharField(max_length=64, blank=True, editable=False)
    user_agent = models.CharField(_("navigateur"), max_length=300, blank=True)
    at = models.DateTimeField(_("le"), default=timezone.now)
    ip_address = models.GenericIPAddressField(_("depuis"), null=True, blank=True)
    succeeded = models.BooleanField(_("réussie"))

    class Meta:
        verbose_name = _("connexion")
        verbose_name_plural = _("connexions")
        ordering = ["-at", "-pk"]
        # Serves the last log-ins of one account.
        # The second one serves the look for guesses spread over many accounts.
        indexes = [
            models.Index(fields=["user", "-at"], name="login_user_newest"),
            models.Index(fields=["succeeded", "-at"], name="login_failed_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.user or '?'} · {self.at:%Y-%m-%d %H:%M}"


class KnownDevice(models.Model):
    """A browser with a log-in of the user; a lock of the account does not apply in it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="devices", verbose_name=_("compte"))
    key = models.CharField(max_length=64, editable=False)
    failed_logins = models.PositiveSmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("connu depuis le"), default=timezone.now)
    seen_at = models.DateTimeField(_("dernière connexion"), default=timezone.now)

    class Meta:
        verbose_name = _("appareil connu")
        verbose_name_plural = _("appareils connus")
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="device_once_per_user")]

    def __str__(self) -> str:
        return f"{self.user} · {self.created_at:%Y-%m-%d}"


class Session(models.Model):
    """An open session, found by a keyed hash of its cookie; see `sessions`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=64, unique=True, editable=False)
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, null=True, blank=True, related_name="sessions", verbose_name=_("compte")
    )
    session_data = models.TextField(editable=False)
    created_at = models.DateTimeField(_("ouverte le"), default=timezone.now)
    seen_at = models.DateTimeField(_("dernière activité"), default=timezone.now)
    expire_date = models.DateTimeField(db_index=True)
    ip_address = models.GenericIPAddressField(_("depuis"), null=True, blank=True)
    user_agent = models.CharField(_("navigateur"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        ordering = ["-seen_at", "pk"]

    def __str__(self) -> str:
        return f"{self.user} · {self.created_at:%Y-%m-%d %H:%M}"
