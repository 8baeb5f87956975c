"""Companies and their contacts."""

import uuid

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backoffice.base.fields import EmailListField, LineField, LinesField, OneEmailField
from backoffice.text import zones

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
    """State of a company or a shop; only ACTIVE ones send mail other than account mail (docs/rules.md 4.12)."""

    ACTIVE = "active", _("Active")
    SUSPENDED = "suspended", _("Suspendue")
    CLOSED = "closed", _("Fermée")


def validate_time_zone(name: str) -> None:
    if name not in zones.names():
        raise ValidationError(_("« %(name)s » n'est pas un fuseau horaire connu."), params={"name": name})


class Company(models.Model):
    reference = models.CharField(_("référence"), max_length=64, unique=True, validators=[reference_validator])
    name = LineField(_("raison sociale"), max_length=200)
    registration_number = LineField(_("numéro d'immatriculation"), max_length=40, blank=True)
    address = LinesField(_("adresse du siège"), max_length=500, blank=True)
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
    status_reason = LineField(_("motif de l'état"), max_length=300, blank=True)
    status_since = models.DateTimeField(_("dans cet état depuis"), null=True, blank=True, editable=False)
    incident_emails = EmailListField(_("e-mail(s) de contact en cas d'incident"), blank=True, default=list)
    newsletter_opt_out = models.BooleanField(_("désabonnée de la lettre d'information"), default=False)
    verify_addresses = models.BooleanField(_("vérifier les nouvelles adresses"), default=False, db_default=False)
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
    title = LineField(_("civilité"), max_length=20, blank=True)
    first_name = LineField(_("prénom"), max_length=100, blank=True)
    last_name = LineField(_("nom"), max_length=100, blank=True)
    email = OneEmailField(_("e-mail"))
    phone = LineField(_("téléphone"), max_length=30, blank=True)

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


class Submission(models.Model):
    """A form that was sent, so that the same one sent again has no second effect; see `backoffice.submissions`.

    `key` is a keyed hash of all that was sent. Without `answered_at` the first request is under way. `answer` is
    sealed under a key that is made of what was sent, and so of nothing that is stored; empty where none was kept.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The one thing that decides between two requests at the same moment.
    key = models.CharField(max_length=64, unique=True, editable=False)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    answered_at = models.DateTimeField(null=True, editable=False)
    answer = models.TextField(blank=True, default="", editable=False)

    class Meta:
        verbose_name = _("envoi de formulaire")
        verbose_name_plural = _("envois de formulaires")

    def __str__(self) -> str:
        return f"{self.key[:8]} · {self.started_at:%Y-%m-%d %H:%M}"
