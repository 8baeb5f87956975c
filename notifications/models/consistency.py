"""Consistency reports and when the next one is due."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from companies.models import Company


class ConsistencyReport(models.Model):
    """What the checks found in the settings of a company, kept when it differs from the report before.

    `findings` holds `findings.Finding` as JSON: codes and values, put into words when shown.
    """

    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, related_name="consistency_reports", verbose_name=_("société")
    )
    checked_at = models.DateTimeField(_("établi le"), default=timezone.now)
    # The last run that found the same again.
    last_checked_at = models.DateTimeField(_("vérifié le"), default=timezone.now)
    findings = models.JSONField(_("constats"), default=list)
    error_count = models.PositiveIntegerField(_("erreurs"), default=0)
    warning_count = models.PositiveIntegerField(_("avertissements"), default=0)
    digest = models.CharField(max_length=64, editable=False)
    errors_digest = models.CharField(max_length=64, editable=False)
    # When these errors were mailed, by this report or an earlier one with the same errors.
    told_at = models.DateTimeField(_("envoyé le"), null=True, blank=True)
    actor_label = models.CharField(_("demandé par"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("rapport de consistance")
        verbose_name_plural = _("rapports de consistance")
        ordering = ["-checked_at", "-pk"]
        indexes = [
            # Serves the report in force and the history of a company.
            models.Index(fields=["company", "-checked_at"], name="report_company_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.company} {self.checked_at:%Y-%m-%d}"


class ConsistencySchedule(models.Model):
    """When the worker checks a company next. Moving `due_at` on is what claims the run."""

    company = models.OneToOneField(Company, on_delete=models.CASCADE, related_name="consistency_schedule")
    due_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("prochain contrôle de consistance")
        verbose_name_plural = _("prochains contrôles de consistance")

    def __str__(self) -> str:
        return f"{self.company_id} {self.due_at:%Y-%m-%d %H:%M}"
