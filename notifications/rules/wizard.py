"""« Créer une règle > Notification avancée »: drafts of the wizard, kept in the session.

A draft has its own number in the URL, so that two wizards at once do not mix, and holds what was
typed in each step as it was posted: going back, reloading or opening a second tab loses nothing.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.http import HttpRequest, QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from notifications.core.catalogue import RULE_TYPE_LABELS, SHOP_MANAGER_SYMBOL, RuleType, sort_triggers
from notifications.models import NotificationRule
from notifications.rules.conditions import Conditions
from notifications.rules.forms import EventsForm, RuleForm, TypeForm
from notifications.rules.selectors import shop_manager_email
from shops.models import Shop

STEPS: dict[str, Promise] = {
    "events": _("Quand : type, événements et conditions"),
    "settings": _("Vers qui : destinataires et URL"),
    "summary": _("Vérifier et créer"),
}
_SESSION = "rule_drafts"
# The oldest draft makes room for the next.
_KEPT = 10
# Of a step, more than any form of ours posts is not kept beyond the page that refuses it.
_MAX_TYPED = limits.LONGEST_LIST + limits.LONGEST_TEXT


@dataclass
class Draft:
    """One unfinished rule: per step the names and values posted."""

    shop: Shop
    key: UUID
    typed: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @classmethod
    def load(cls, request: HttpRequest, shop: Shop, key: UUID) -> "Draft":
        """The draft as it was left; an empty one where none was begun under this number."""
        kept = request.session.get(_SESSION, {}).get(f"{shop.site_id}:{key}", {})
        return cls(shop, key, {step: values for step, values in kept.items() if step in STEPS})

    def keep(self, request: HttpRequest, step: str, data: QueryDict) -> None:
        """Store what was typed in one step, right or wrong."""
        values = {name: data.getlist(name) for name in data if name not in ("csrfmiddlewaretoken", "go")}
        self.typed[step] = values
        if sum(len(name) + sum(map(len, items)) for name, items in values.items()) > _MAX_TYPED:
            return
        drafts = dict(request.session.get(_SESSION, {}))
        drafts.pop(self._name, None)
        drafts[self._name] = self.typed
        request.session[_SESSION] = dict(list(drafts.items())[-_KEPT:])

    def forget(self, request: HttpRequest) -> None:
        drafts = dict(request.session.get(_SESSION, {}))
        drafts.pop(self._name, None)
        request.session[_SESSION] = drafts

    @property
    def _name(self) -> str:
        return f"{self.shop.site_id}:{self.key}"

    def data(self, step: str) -> QueryDict | None:
        """What was typed in a step, as a post; None before anything was."""
        if step not in self.typed:
            return None
        data = QueryDict(mutable=True)
        for name, values in self.typed[step].items():
            data.setlist(name, values)
        return data

    # --- The steps as forms -----------------------------------------------------------------------

    @property
    def type(self) -> str:
        """The type chosen in the first step; empty before."""
        chosen = self.typed.get("events", {}).get("type", [""])
        return chosen[-1] if chosen and chosen[-1] in RULE_TYPE_LABELS else ""

    def type_form(self) -> TypeForm:
        return TypeForm(self.data("events"))

    def events_form(self) -> EventsForm:
        return EventsForm(self.data("events"))

    def conditions(self) -> Conditions:
        data = self.data("events")
        return Conditions([]) if data is None else Conditions.posted(data)

    def settings_form(self) -> RuleForm:
        rule = NotificationRule(
            shop=self.shop,
            type=self.type or RuleType.IPN_CALL,
            recipients=[] if self.type == RuleType.BUYER_EMAIL else [SHOP_MANAGER_SYMBOL],
        )
        return RuleForm(self.data("settings"), rule=rule, manager_email=shop_manager_email(self.shop), creating=True)

    def problem(self, before: str) -> str | None:
        """The first step, of those before the one named, that is not complete; None when all are."""
        for step in STEPS:
            if step == before:
                return None
            if not self.is_complete(step):
                return step
        return None

    def is_complete(self, step: str) -> bool:
        match step:
            case "events":
                return all([self.type_form().is_valid(), self.events_form().is_valid(), self.conditions().is_valid()])
            case "settings":
                return self.settings_form().is_valid()
        return True

    def fields(self) -> dict[str, Any]:
        """The columns of the rule as typed so far; every step must be complete."""
        events, conditions, settings = self.events_form(), self.conditions(), self.settings_form()
        assert events.is_valid() and conditions.is_valid() and settings.is_valid()
        saved = settings.saved()
        return {
            "type": self.type,
            "label": settings.cleaned_data["label"],
            "enabled": True,
            "recipients": [],
            **saved,
            "triggers": sort_triggers(events.cleaned_data["triggers"]),
            "conditions": conditions.value(),
        }

    @property
    def title(self) -> str:
        """What to call it in a list of unfinished ones."""
        label = (self.typed.get("settings", {}).get("label") or [""])[-1].strip()
        return label or (str(RULE_TYPE_LABELS[self.type]) if self.type else "")


def open_drafts(request: HttpRequest, shop: Shop) -> list[Draft]:
    """The unfinished rules of a shop that this visit knows, newest first."""
    drafts = []
    for name, typed in request.session.get(_SESSION, {}).items():
        site_id, _colon, key = name.partition(":")
        if site_id == shop.site_id:
            draft = Draft(shop, UUID(key), {step: values for step, values in typed.items() if step in STEPS})
            if draft.title:
                drafts.append(draft)
    return drafts[::-1]
