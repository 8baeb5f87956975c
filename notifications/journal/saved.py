"""Saved searches of a user: « Filtres enregistrés » above the journal."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from companies.models import Membership
from notifications.models import SavedFilter

# They are read in one line above the list.
MAX_SAVED = 20


def saved_filters(membership: Membership) -> QuerySet[SavedFilter]:
    """What a user has kept in this company, by name."""
    return SavedFilter.objects.filter(company_id=membership.company_id, user_id=membership.user_id)


@transaction.atomic
def filter_save(*, membership: Membership, name: str, query: str) -> SavedFilter:
    """Save a search; one of the same name is replaced.

    Args:
        query: as in the address of the page, of `JournalFilter.query`.

    Raises ValidationError: no name, no filter, or too many of them already.
    """
    if not query:
        raise ValidationError(_("Choisissez d'abord un filtre ou une période : il n'y a rien à enregistrer."))
    kept = saved_filters(membership)
    saved = kept.filter(name=name.strip()).first() or SavedFilter(
        company_id=membership.company_id, user_id=membership.user_id, name=name.strip()
    )
    if saved._state.adding and kept.count() >= MAX_SAVED:
        raise ValidationError(
            _("Vous avez déjà %(max)d filtres enregistrés : supprimez-en un d'abord.") % {"max": MAX_SAVED}
        )
    saved.query = query
    saved.full_clean()
    saved.save()
    return saved


@transaction.atomic
def filter_delete(*, membership: Membership, key: int) -> str | None:
    """Delete a saved search of the user; returns its name, or None if it does not exist."""
    saved = saved_filters(membership).filter(pk=key).first()
    if saved is None:
        return None
    saved.delete()
    return saved.name
