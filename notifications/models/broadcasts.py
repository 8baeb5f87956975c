"""Letters and incidents: one message to many companies."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from backoffice.base.fields import LineField, LinesField
from notifications.core import catalogue


class Newsletter(models.Model):
    """A letter of the platform to the Contacts gestionnaires, in both languages.

    `audience` narrows the companies, see `broadcasts.companies_in`. Frozen once it was sent, that is,
    once it has a `broadcast`.
    """

    title_fr = LineField(_("titre en français"), max_length=150)
    text_fr = LinesField(_("texte en français"), max_length=20_000)
    title_en = LineField(_("titre en anglais"), max_length=150)
    text_en = LinesField(_("texte en anglais"), max_length=20_000)
    audience = models.JSONField(_("destinataires"), default=dict, blank=True)
    created_by = models.CharField(_("rédigée par"), max_length=200, editable=False)
    created_at = models.DateTimeField(_("créée le"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("modifiée le"), auto_now=True)

    class Meta:
        verbose_name = _("lettre d'information")
        verbose_name_plural = _("lettres d'information")
        ordering = ["-created_at", "-pk"]
        permissions = [("send_newsletter", "Can send a newsletter to companies")]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return self.title_in(get_language() or "fr")

    def title_in(self, language: str) -> str:
        return self.title_en if language == "en" else self.title_fr

    def text_in(self, language: str) -> str:
        return self.text_en if language == "en" else self.text_fr


class Incident(models.Model):
    """An incident of the payment platform, told on the public status page and to the incident addresses.

    Its state is that of its newest update.
    """

    class Impact(models.TextChoices):
        DEGRADED = "degraded", pgettext_lazy("incident", "Service dégradé")
        PARTIAL = "partial", pgettext_lazy("incident", "Panne partielle")
        MAJOR = "major", pgettext_lazy("incident", "Panne générale")
        MAINTENANCE = "maintenance", pgettext_lazy("incident", "Maintenance")

    title_fr = LineField(_("titre en français"), max_length=150)
    title_en = LineField(_("titre en anglais"), max_length=150)
    impact = models.CharField(_("gravité"), max_length=12, choices=Impact, default=Impact.DEGRADED)
    started_at = models.DateTimeField(_("commencé le"), default=timezone.now)
    resolved_at = models.DateTimeField(_("résolu le"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("ouvert le"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ["-started_at", "-pk"]
        indexes = [
            # Serves the status page: those that run, and the resolved ones of the last 90 days.
            models.Index(fields=["resolved_at"], name="incident_resolved"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return self.title_in(get_language() or "fr")

    def title_in(self, language: str) -> str:
        return self.title_en if language == "en" else self.title_fr


class IncidentUpdate(models.Model):
    """One message about an incident: its opening, news, or its end. Never changed once sent."""

    class State(models.TextChoices):
        INVESTIGATING = "investigating", pgettext_lazy("incident", "En cours d'analyse")
        IDENTIFIED = "identified", pgettext_lazy("incident", "Cause identifiée")
        MONITORING = "monitoring", pgettext_lazy("incident", "Sous surveillance")
        RESOLVED = "resolved", pgettext_lazy("incident", "Résolu")

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="updates", verbose_name=_("incident"))
    state = models.CharField(_("état"), max_length=15, choices=State, default=State.INVESTIGATING)
    text_fr = LinesField(_("texte en français"), max_length=4000)
    text_en = LinesField(_("texte en anglais"), max_length=4000)
    at = models.DateTimeField(_("publié le"), default=timezone.now, editable=False)
    author = models.CharField(_("auteur"), max_length=200, editable=False)

    class Meta:
        verbose_name = _("message d'incident")
        verbose_name_plural = _("messages d'incident")
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.incident} · {self.get_state_display()}"

    @property
    def text(self) -> str:
        return self.text_in(get_language() or "fr")

    def text_in(self, language: str) -> str:
        return self.text_en if language == "en" else self.text_fr


class Broadcast(models.Model):
    """One letter or incident message on its way to many companies (docs/rules.md 3).

    Companies are taken in order of their key; `last_company` is how far the outbox has been filled, in the
    same transaction as the rows themselves. Each distinct address gets one message.
    """

    class Status(models.TextChoices):
        RUNNING = "running", pgettext_lazy("broadcast", "En cours")
        PAUSED = "paused", pgettext_lazy("broadcast", "En pause")
        CANCELLED = "cancelled", pgettext_lazy("broadcast", "Arrêté")
        QUEUED = "queued", pgettext_lazy("broadcast", "Tout est en file")

    notification = models.CharField(max_length=40, choices=catalogue.CHOICES)
    newsletter = models.OneToOneField(
        Newsletter, on_delete=models.PROTECT, null=True, blank=True, related_name="broadcast"
    )
    incident_update = models.OneToOneField(
        IncidentUpdate, on_delete=models.PROTECT, null=True, blank=True, related_name="broadcast"
    )
    audience = models.JSONField(default=dict, blank=True)
    status = models.CharField(_("état"), max_length=10, choices=Status, default=Status.RUNNING)
    # Distinct addresses counted when it was started; the real number may differ, settings go on changing.
    planned = models.PositiveIntegerField(default=0)
    last_company = models.BigIntegerField(default=0)
    started_by = models.CharField(max_length=200)
    started_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("envoi groupé")
        verbose_name_plural = _("envois groupés")
        ordering = ["-started_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(newsletter__isnull=False, incident_update__isnull=True)
                | Q(newsletter__isnull=True, incident_update__isnull=False),
                name="broadcast_of_one_thing",
            )
        ]
        indexes = [
            # Serves the worker, which looks for the few that are on their way.
            models.Index(fields=["started_at"], condition=Q(status="running"), name="broadcast_running"),
        ]

    def __str__(self) -> str:
        return str(self.newsletter or self.incident_update)
