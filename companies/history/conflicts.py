"""Two users editing the same page: the notice for the second one to save.

A page carries what it was opened on, a version or a stamp. The service refuses a write that was decided
on something else (`audit.StaleVersion`). The page then comes back with everything that was typed, with
who changed what in the meantime and what differs, and carries the present version: saving once more is
a decision. Nothing is merged behind anybody's back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.encoding import force_str
from django.utils.html import strip_tags
from django.utils.translation import gettext as _

from backoffice.base.shell import ago
from companies.history import entries as history
from companies.history import sentences as wording
from companies.models import AuditEntry, Membership

# (object type, key) as the history has them.
Objects = Sequence[tuple[str, Any]]
# What a form carries of the state it was opened on.
CARRIED = ("version", "seen")
# A newest entry older than any form that is still open explains nothing.
_STILL_OPEN = timedelta(days=7)


@dataclass(frozen=True)
class Conflict:
    """The change that was saved while a page was open.

    Attributes:
        entry: the newest change of the object, None where the history has none.
        is_own: it is the reader's own, made in another window.
        differences: (field, stored now, in this form) where both are not the same.
        reload_url: the page as it is stored now.
        is_form: something was typed, which comes back with the page.
        reader: whose eyes it is for; None for staff.
    """

    entry: AuditEntry | None = None
    is_own: bool = False
    differences: list[tuple[str, str, str]] = field(default_factory=list)
    reload_url: str = ""
    is_form: bool = True
    reader: Membership | None = None

    @property
    def sentence(self) -> str:
        """Who changed it and when, in one sentence without markup."""
        if self.entry is None:
            return _("Ces informations ont été modifiées par quelqu'un d'autre entre-temps.")
        told = {"who": history.actor_words(self.entry), "when": strip_tags(str(ago(self.entry.at)))}
        if self.is_own:
            return (
                _(
                    "Ces informations ont été modifiées par quelqu'un d'autre entre-temps, ou par vous dans une autre fenêtre. "
                    "Dernière modification : %(who)s, %(when)s."
                )
                % told
            )
        return _("Ces informations ont été modifiées par quelqu'un d'autre entre-temps : %(who)s, %(when)s.") % told

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """What the newest change did: (field, before, after)."""
        return history.changes_in_words(self.entry, self.reader) if self.entry else []


def conflict(request: HttpRequest, *objects: tuple[str, Any], entry: AuditEntry | None = None, **more: Any) -> Conflict:
    """What is known about the newest change of any of the objects, or of the `entry` given."""
    change = entry or (history.newest(*objects) if objects else None)
    if change is not None and change.at < timezone.now() - _STILL_OPEN:
        change = None
    own = change is not None and change.actor_id is not None and change.actor_id == request.user.pk
    return Conflict(change, own, reader=getattr(request, "membership", None), **more)


def tell(
    request: HttpRequest,
    form: forms.BaseForm,
    fresh: forms.BaseForm,
    *objects: tuple[str, Any],
    others: Sequence[tuple[forms.BaseForm, forms.BaseForm]] = (),
    entry: AuditEntry | None = None,
) -> None:
    """Refuse a form that was opened on an older version: it keeps what was typed, and may be saved again.

    The form has no error of its own; `error_summary` shows the conflict on top of the page.

    Args:
        fresh: the same form, unbound, of the object as it is stored now.
        objects: in whose history the change stands.
        others: further (form, fresh form) of the same page.
    """
    lines = [line for one, now in ((form, fresh), *others) for line in differences(one, now)]
    form.conflict = conflict(request, *objects, entry=entry, differences=lines, reload_url=request.get_full_path())  # type: ignore[attr-defined]
    carry(form, fresh)


def carry(form: forms.BaseForm, fresh: forms.BaseForm) -> None:
    """Let a refused form carry the present version, so that a second, informed save goes through."""
    form.data = form.data.copy()  # type: ignore[attr-defined]
    for name in CARRIED:
        if name in form.fields:
            form.data[form.add_prefix(name)] = str(fresh.get_initial_for_field(fresh.fields[name], name))  # type: ignore[index]


def differences(form: forms.BaseForm, fresh: forms.BaseForm) -> list[tuple[str, str, str]]:
    """(field, stored now, typed) of the fields in which a form differs from what is stored."""
    differing = []
    for name, item in form.fields.items():
        widget = item.widget
        if widget.is_hidden or item.disabled or isinstance(widget, forms.PasswordInput) or name not in fresh.fields:
            continue
        stored, typed = fresh.get_initial_for_field(fresh.fields[name], name), form[name].data
        if not item.has_changed(stored, typed):
            continue
        given = form.cleaned_data[name] if name in getattr(form, "cleaned_data", {}) else typed
        label = force_str(form[name].label or name)
        lines = shown(item, stored), shown(item, given)
        if lines[0] != lines[1]:
            differing.append((label[:1].upper() + label[1:], *lines))
    return differing


def shown(item: forms.Field, value: Any) -> str:
    """A value of a form's field as the notice shows it."""
    if isinstance(value, bool):
        return _("oui") if value else _("non")
    if value is None or value == "" or (isinstance(value, (list, tuple)) and not value):
        return _("(vide)")
    choices = {str(key): label for key, label in _choices(item)}
    values = value if isinstance(value, (list, tuple)) else [value]
    return "; ".join(force_str(choices.get(str(getattr(one, "pk", one)), one)) for one in values)


def _choices(item: forms.Field) -> list[tuple[Any, Any]]:
    if isinstance(item, forms.ModelChoiceField) or not isinstance(item, forms.ChoiceField):
        return []
    flat: list[tuple[Any, Any]] = []
    offered: Any = item.choices
    for key, label in offered:
        flat += label if isinstance(label, (list, tuple)) else [(key, label)]
    return flat


REMOVALS = ("contract.deleted", "payment_order_template.deleted", "rule.archived")


def told_of_removal(request: HttpRequest, *, shop_id: int, kind: str, key: Any) -> bool:
    """Whether the object of a sent page was removed meanwhile; adds a message that says by whom."""
    if request.method != "POST" or key is None:
        return False
    entry = history.newest((kind, key))
    if entry is None or entry.shop_id != shop_id or entry.action not in REMOVALS:
        return False
    who = {
        "what": wording.entry_sentence(entry),
        "who": history.actor_words(entry),
        "when": strip_tags(str(ago(entry.at))),
    }
    messages.error(request, _("Rien n'est enregistré. %(what)s, par %(who)s, %(when)s.") % who)
    return True


def tell_by_message(request: HttpRequest, *objects: tuple[str, Any], entry: AuditEntry | None = None) -> None:
    """As `tell`, for a button without a page of its own: nothing was done, the next page is up to date."""
    change = conflict(request, *objects, entry=entry)
    messages.error(request, " ".join([change.sentence, _("Rien n'a été fait : vérifiez, puis recommencez.")]))
