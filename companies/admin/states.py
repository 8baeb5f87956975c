"""Suspending, closing and opening again what has a state, on the staff site."""

from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from companies import audit
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.models import Company, Status
from companies.staff.pages import OPENED_ON, ServiceAdmin
from notifications import settings_facts
from notifications.tables import effects
from notifications.tables.effects import EffectPanel

# Objects whose consequences are listed; of more, staff see the first.
NAMED_OBJECTS = 5


def states_stamp(objects: list[Any]) -> str:
    """The stamp of the states shown in a question, to detect changes before the answer."""
    return audit.stamp(*sorted((obj.pk, obj.status, obj.status_reason) for obj in objects))


def _effect(obj: Any, state: str) -> EffectPanel:
    """What another state changes for recipients; only the shop or company concerned is computed."""
    if isinstance(obj, Company):
        facts = settings_facts.company_facts(obj)
        return effects.compared(facts, replace(facts, status=state))
    facts = settings_facts.shop_only(obj)
    return effects.compared(facts, replace(facts, shops=(replace(facts.shops[0], status=state),)))


class StatusAdmin(ServiceAdmin):
    """Suspending, closing and opening again what has a Status, with a reason that the merchant reads."""

    actions: tuple[str, ...] = ("suspend", "close", "reactivate")

    def set_status(self, obj: Any, *, actor: Actor, state: str, reason: str) -> object:
        """Give one object its new state, through its service."""
        raise NotImplementedError

    def _ask_status(self, request: HttpRequest, chosen: QuerySet[Any], state: str, action: str) -> HttpResponse | None:
        """Ask for the reason on a page of its own, then do it for all or for none."""
        objects = list(self.model._default_manager.filter(pk__in=chosen.values_list("pk", flat=True)).order_by("pk"))
        problems: list[str] = []
        reason = request.POST.get("reason", "")
        if "confirmed" in request.POST:
            try:
                with transaction.atomic():
                    objects = list(
                        self.model._base_manager.select_for_update().filter(pk__in=[obj.pk for obj in objects])
                    )
                    audit.check_seen(request.POST.get(OPENED_ON), states_stamp(objects))
                    changed = sum(
                        bool(self.set_status(obj, actor=Actor.of(request), state=state, reason=reason))
                        for obj in objects
                    )
            except StaleVersion:
                keys = [(self.model._meta.model_name, obj.pk) for obj in objects]
                problems = [
                    conflicts.conflict(request, *keys).sentence,
                    _("Rien n'a été fait : vérifiez, puis recommencez."),
                ]
            except ValidationError as error:
                problems = error.messages
            else:
                text = ngettext("%(n)d état changé.", "%(n)d états changés.", changed)
                messages.success(request, text % {"n": changed})
                return None
        context = {
            **admin.site.each_context(request),
            "opts": self.model._meta,
            "objects": objects,
            "action": action,
            "state": state,
            "title": self.get_action(action)[2],  # type: ignore[index]
            "reason": reason,
            "problems": problems,
            "effects": [(obj, _effect(obj, state)) for obj in objects[:NAMED_OBJECTS]],
            "opened_on": states_stamp(objects),
            "opened_on_name": OPENED_ON,
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return render(request, "admin/status_reason.html", context)

    @admin.action(description=gettext_lazy("Suspendre, avec un motif"), permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._ask_status(request, queryset, Status.SUSPENDED, "suspend")

    @admin.action(description=gettext_lazy("Fermer, avec un motif"), permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._ask_status(request, queryset, Status.CLOSED, "close")

    @admin.action(description=gettext_lazy("Réactiver ou rouvrir"), permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._ask_status(request, queryset, Status.ACTIVE, "reactivate")
