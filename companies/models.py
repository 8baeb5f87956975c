"""Companies, the people who act for them, and the history of every change.

Knows nothing of notifications (DESIGN 6).
"""

import uuid
import zoneinfo
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from backoffice.crypto import EncryptedTextField
from backoffice.fields import CodeSetField, EmailListField, OneEmailField

from .history_models import HistoryErasure

reference_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
    _(
        "Une référence compte 1 à 64 lettres sans accent, chiffres ou caractères . _ - et commence par une lettre ou un chiffre."
    ),
)


class Language(models.TextChoices):
    FRENCH = "fr", _("Français")
    ENGLISH = "en", _("Anglais")


class Status(models.TextChoices):
    """State of a company or a shop; only ACTIVE ones send mail other than account mail (DESIGN 4.12)."""

    ACTIVE = "active", _("Active")
    SUSPENDED = "suspended", _("Suspendue")
    CLOSED = "closed", _("Fermée")


class Role(models.TextChoices):
    ADMINISTRATOR = "administrator", _("Administrateur")
    MANAGER = "manager", _("Gestionnaire")
    VIEWER = "viewer", _("Lecture seule")


def validate_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("« %(name)s » n'est pas un fuseau horaire connu."), params={"name": name})


class Company(models.Model):
    reference = models.CharField(_("référence"), max_length=64, unique=True, validators=[reference_validator])
    name = models.CharField(_("raison sociale"), max_length=200)
    registration_number = models.CharField(_("numéro d'immatriculation"), max_length=40, blank=True)
    address = models.TextField(_("adresse du siège"), max_length=500, blank=True)
    country = models.CharField(
        _("pays"),
        max_length=2,
        default="FR",
        validators=[RegexValidator(r"^[A-Z]{2}\Z", _("Un pays s'écrit en deux lettres majuscules (FR, BE…)."))],
    )
    language = models.CharField(_("langue"), max_length=2, choices=Language, default=Language.FRENCH)
    time_zone = models.CharField(
        _("fuseau horaire"), max_length=64, default="Europe/Paris", validators=[validate_time_zone]
    )
    status = models.CharField(_("état"), max_length=10, choices=Status, default=Status.ACTIVE)
    status_reason = models.CharField(_("motif de l'état"), max_length=300, blank=True)
    status_since = models.DateTimeField(_("dans cet état depuis"), null=True, blank=True, editable=False)
    incident_emails = EmailListField(_("e-mail(s) de contact en cas d'incident"), blank=True, default=list)
    newsletter_opt_out = models.BooleanField(_("désabonnée de la lettre d'information"), default=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(_("créée le"), auto_now_add=True)
    updated_at = models.DateTimeField(_("modifiée le"), auto_now=True)

    class Meta:
        verbose_name = _("société")
        verbose_name_plural = _("sociétés")
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def manager_contact(self) -> "Contact | None":
        return self._contact(Contact.Kind.MANAGER)

    @property
    def technical_contact(self) -> "Contact | None":
        return self._contact(Contact.Kind.TECHNICAL)

    def _contact(self, kind: str) -> "Contact | None":
        # Walks .all() so that a prefetch of the two contacts serves both properties.
        return next((contact for contact in self.contacts.all() if contact.kind == kind), None)


class Contact(models.Model):
    """One of the two named contacts of a company: Contact gestionnaire, Contact technique."""

    class Kind(models.TextChoices):
        MANAGER = "manager", _("Contact gestionnaire")
        TECHNICAL = "technical", _("Contact technique")

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="contacts", verbose_name=_("société"))
    kind = models.CharField(_("contact"), max_length=10, choices=Kind)
    title = models.CharField(_("civilité"), max_length=20, blank=True)
    first_name = models.CharField(_("prénom"), max_length=100, blank=True)
    last_name = models.CharField(_("nom"), max_length=100, blank=True)
    email = OneEmailField(_("e-mail"))
    phone = models.CharField(_("téléphone"), max_length=30, blank=True)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ["kind"]
        constraints = [models.UniqueConstraint(fields=["company", "kind"], name="contact_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} : {self.email}"

    @property
    def history_label(self) -> str:
        """What the history stores; it is put into words in the reader's language."""
        return f"{self.kind} : {self.email}"

    @property
    def full_name(self) -> str:
        return " ".join(filter(None, [self.title, self.first_name, self.last_name]))


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
    title = models.CharField(_("civilité"), max_length=20, blank=True)
    first_name = models.CharField(_("prénom"), max_length=100, blank=True)
    last_name = models.CharField(_("nom"), max_length=100, blank=True)
    phone = models.CharField(_("téléphone"), max_length=30, blank=True)
    language = models.CharField(_("langue"), max_length=2, choices=Language, blank=True)
    time_zone = models.CharField(_("fuseau horaire"), max_length=64, blank=True, validators=[validate_time_zone])
    is_active = models.BooleanField(_("actif"), default=True)
    is_staff = models.BooleanField(_("équipe de la plateforme"), default=False)
    date_joined = models.DateTimeField(_("créé le"), default=timezone.now)
    # Wrong passwords since the last good one, and until when the right one is refused too.
    failed_logins = models.PositiveIntegerField(default=0, editable=False)
    locked_until = models.DateTimeField(_("verrouillé jusqu'à"), null=True, blank=True, editable=False)

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
    """A browser in which somebody has logged in: a lock of the account does not keep them out there."""

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


class Membership(models.Model):
    """What a user may do in a company: a role or permissions of one's own, and the shops covered.

    Read it through `access`, which knows how the parts combine (`permissions.Access`).
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("compte"))
    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("société")
    )
    role = models.CharField(_("rôle"), max_length=20, choices=Role, default=Role.VIEWER)
    permissions = CodeSetField(_("droits particuliers"), null=True, blank=True, default=None)
    all_shops = models.BooleanField(_("toutes les boutiques"), default=True)
    shops = models.ManyToManyField(
        "shops.Shop", through="MembershipShop", blank=True, related_name="+", verbose_name=_("boutiques")
    )

    class Meta:
        verbose_name = _("accès à une société")
        verbose_name_plural = _("accès aux sociétés")
        constraints = [
            models.UniqueConstraint(fields=["user", "company"], name="membership_once_per_company"),
            # Somebody must be able to grant everything: the role of administrator is never cut down.
            models.CheckConstraint(
                condition=~models.Q(role=Role.ADMINISTRATOR) | models.Q(permissions__isnull=True),
                name="membership_administrator_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.company} · {self.get_role_display()}"


class MembershipShop(models.Model):
    """A shop named in a membership, with permissions of its own or those of the membership (NULL)."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="grants", verbose_name=_("accès"))
    shop = models.ForeignKey("shops.Shop", on_delete=models.CASCADE, related_name="+", verbose_name=_("boutique"))
    permissions = CodeSetField(_("droits sur la boutique"), null=True, blank=True, default=None)

    class Meta:
        verbose_name = _("droits sur une boutique")
        verbose_name_plural = _("droits par boutique")
        constraints = [models.UniqueConstraint(fields=["membership", "shop"], name="grant_once_per_shop")]

    def __str__(self) -> str:
        return f"{self.membership} · {self.shop}"


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
        """One of State. A link that nobody opened lapses with the validity of all links."""
        now = timezone.now()
        if not self.is_active:
            return self.State.DISABLED
        if self.unrevealed_password:
            made = self.password_set_at or self.created_at
            link_is_good = made + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT) > now
            return self.State.WAITING if link_is_good else self.State.LAPSED
        return self.State.ACTIVE if self.expires_at > now else self.State.EXPIRED


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


class AuditEntry(models.Model):
    """One change of a setting: who, when, from where, what, before and after.

    Written by `audit.record` only; the database refuses to change or remove it (`history_guard`).
    `changes` maps a field name to `[before, after]`; secrets stand in it masked.
    """

    company = models.ForeignKey(
        Company,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="audit_entries",
        verbose_name=_("société"),
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("auteur"),
    )
    actor_label = models.CharField(_("auteur"), max_length=200)
    at = models.DateTimeField(_("le"), default=timezone.now)
    ip_address = models.GenericIPAddressField(_("depuis"), null=True, blank=True)
    # The shop it is about, whatever the kind of object.
    shop = models.ForeignKey(
        "shops.Shop", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("boutique")
    )
    action = models.CharField(_("action"), max_length=60)
    object_type = models.CharField(_("objet"), max_length=40)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(_("désignation"), max_length=200)
    changes = models.JSONField(_("modifications"), default=dict)
    # Digest of the words above, salted so that an erased address cannot be guessed from it.
    content_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    salt = models.CharField(max_length=32, blank=True, editable=False)
    erasure = models.ForeignKey(
        HistoryErasure, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta:
        verbose_name = _("modification")
        verbose_name_plural = _("historique")
        ordering = ["-at", "-pk"]
        indexes = [
            # Serves the history page and "modified by" lines: newest first within a company.
            models.Index(fields=["company", "-at"], name="audit_company_newest"),
            models.Index(fields=["object_type", "object_id", "-at"], name="audit_object_newest"),
            # Serves the history of one shop.
            models.Index(fields=["shop", "-at"], condition=models.Q(shop__isnull=False), name="audit_shop_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_label}"
