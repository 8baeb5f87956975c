"""Saved searches of the journal, by user."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backoffice.base.fields import LineField
from companies.models import Company


class SavedFilter(models.Model):
    """A search of the journal under a name, of one user in one company.

    What it looks for stands as in the address of the page. It decides nothing about who is told what, so it is no
    setting: nobody else sees it, and the history does not tell of it.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, db_index=False, related_name="saved_filters", verbose_name=_("société")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_filters", verbose_name=_("utilisateur")
    )
    name = LineField(_("nom du filtre"), max_length=60)
    query = models.CharField(max_length=1500, editable=False)
    created_at = models.DateTimeField(_("enregistré le"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("filtre du journal")
        verbose_name_plural = _("filtres du journal")
        ordering = ["name", "pk"]
        constraints = [
            # Serves the chips above the journal as well.
            models.UniqueConstraint(fields=["company", "user", "name"], name="filter_name_once_per_user"),
        ]

    def __str__(self) -> str:
        return self.name
