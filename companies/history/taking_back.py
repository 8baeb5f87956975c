"""« Annuler » in the notice after a change: which entries it takes back, signed for the user who made them.

Nothing is kept beside the history; `backoffice/undoing/` does it.
"""

from collections.abc import Iterable, Sequence

from django.core import signing
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from companies.models import AuditEntry, Membership
from companies.rights import readers as account_readers

MAX_AGE = 24 * 3600
ACTIONS = (
    "contact.created",
    "contact.updated",
    "contact.deleted",
    "company.updated",
    "shop.updated",
    "rule.created",
    "rule.updated",
    "user.updated",
    "sftp_account.updated",
)
# Written beside a change, about it.
_BESIDE = ("gap.confirmed",)


def undo_link(membership: Membership, entries: Sequence[int]) -> SafeString:
    """« Annuler », for the notice after a change; empty where nothing was written."""
    if not entries:
        return SafeString("")
    url = reverse("undo", args=[token_of(membership, entries)])
    return format_html('<a class="undo-link" href="{}">{}</a>', url, _("Annuler"))


def undo_link_after(membership: Membership, written: Sequence[tuple[AuditEntry, Model]]) -> SafeString:
    """« Annuler » of all that a save has written, from `audit.collected`; empty where a part could not be taken back."""
    changes = [(entry, obj) for entry, obj in written if entry.action not in _BESIDE]
    if not all(_can_be_taken_back(entry, obj) for entry, obj in changes):
        return SafeString("")
    return undo_link(membership, [entry.pk for entry, _obj in changes])


def _can_be_taken_back(entry: AuditEntry, obj: Model) -> bool:
    """Whether the history holds what a change replaced: secrets and long texts stand in it under names of their own."""
    if entry.action not in ACTIONS:
        return False
    return entry.object_type == "contact" or all(hasattr(obj, name) for name in entry.changes)


def token_of(membership: Membership, entries: Sequence[int]) -> str:
    """What names these entries in the link « Annuler », for this user alone."""
    return signing.dumps(_ranges(entries), salt=_salt(membership), compress=True)


def entries_of(membership: Membership, token: str) -> list[AuditEntry]:
    """The entries behind a link, oldest first; none where it is not this user's, or is too old."""
    try:
        ranges = signing.loads(token, salt=_salt(membership), max_age=MAX_AGE)
    except signing.BadSignature:
        return []
    entries = account_readers.history_for(membership).filter(actor=membership.user_id, action__in=ACTIONS)
    return [entry for first, last in ranges for entry in entries.filter(pk__range=(first, last)).order_by("pk")]


def _salt(membership: Membership) -> str:
    return f"backoffice.undoing.{membership.company_id}.{membership.user_id}"


def _ranges(keys: Iterable[int]) -> list[tuple[int, int]]:
    """Runs of keys as (first, last): what one transaction writes mostly lies together."""
    ranges: list[tuple[int, int]] = []
    for key in sorted(keys):
        if ranges and ranges[-1][1] == key - 1:
            ranges[-1] = (ranges[-1][0], key)
        else:
            ranges.append((key, key))
    return ranges
