"""Staff pages that require a proof of identity before they execute a POST."""

from typing import Any

from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from companies.staff.typed import ModelAdmin


class ProvenPages(ModelAdmin):
    """What is sent to a page with `proven` waits until who sent it has given password or second factor.

    A missing right is told first. What was typed is kept, and done once the proof is given
    (`companies.reauthentication.ask_and_go_on`).

    Attributes:
        proven: whether the page changes accounts, rights, keys or tokens.
        unproven_actions: actions of the list that wait for nothing all the same.
    """

    proven = False
    unproven_actions: frozenset[str] = frozenset()

    def asks_proof(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether what this request sends needs the proof.

        Args:
            obj: the stored object that it changes or deletes; None for a new one and for actions on many.
        """
        return self.proven

    def _proof(self, request: HttpRequest, obj: Any = None) -> HttpResponse | None:
        from companies.rights.reauthentication import ask_and_go_on

        return ask_and_go_on(request) if self.asks_proof(request, obj) else None

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if request.method == "POST":
            obj = self.get_object(request, unquote(object_id)) if object_id else None
            allowed = self.has_change_permission(request, obj) if object_id else self.has_add_permission(request)
            is_there = obj is not None or not object_id
            if allowed and is_there and (answer := self._proof(request, obj)) is not None:
                return answer
        return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        if request.method == "POST":
            obj = self.get_object(request, unquote(object_id))
            allowed = obj is not None and self.has_delete_permission(request, obj)
            if allowed and (answer := self._proof(request, obj)) is not None:
                return answer
        return super().delete_view(request, object_id, extra_context)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:  # type: ignore[override]
        # A list has two menus of actions, and the request says which of them counts: either may.
        wanted = set(request.POST.getlist("action")) & set(self.get_actions(request))
        if wanted - self.unproven_actions and (answer := self._proof(request)) is not None:
            return answer
        return super().response_action(request, queryset)
