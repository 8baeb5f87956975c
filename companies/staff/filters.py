"""Which query parameters a staff list accepts: those of the filters it shows.

The framework takes any look-up on any column of a list's own table from the query string. A member of the team
who may only look at a list could so find out passwords, tokens and secrets letter by letter, or keep the server
busy with a regular expression. Here the address is read first, and refused before anything is asked.
"""

from typing import Any

from django.contrib import messages
from django.contrib.admin import FieldListFilter, SimpleListFilter
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IS_FACETS_VAR, IS_POPUP_VAR, TO_FIELD_VAR
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR, SEARCH_VAR
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from companies.staff.typed import ModelAdmin

# Where and how to look; each list understands these.
MOVES = frozenset(
    {ALL_VAR, ERROR_FLAG, IS_FACETS_VAR, IS_POPUP_VAR, ORDER_VAR, PAGE_VAR, SEARCH_VAR, TO_FIELD_VAR}
)  # fmt: skip
# An address is the longest thing that is searched for.
LONGEST = 254
FILTERS = "_changelist_filters"
# Bounds that the framework's arithmetic with dates survives.
DATE_PARTS = {"year": (1970, 2999), "month": (1, 12), "day": (1, 31)}
CHOICE_PARAMETERS = frozenset({"term", "page", "app_label", "model_name", "field_name"})


class ListedFilters(ModelAdmin):
    """A list that takes the filters it shows, and those named in `also_filtered`.

    Attributes:
        also_filtered: parameters that links of other pages use, for example `company__id__exact`.
    """

    also_filtered: tuple[str, ...] = ()

    def filters_listed(self, request: HttpRequest | None) -> frozenset[str]:
        """The names of the parameters that the list's filters, its dates and `also_filtered` understand."""
        names = {*self.also_filtered, *self._date_parameters()}
        for item in self.get_list_filter(request):  # type: ignore[arg-type]
            names.update(self._parameters(item, request))
        return frozenset(names)

    def _date_parameters(self) -> dict[str, tuple[int, int]]:
        if not self.date_hierarchy:
            return {}
        return {f"{self.date_hierarchy}__{part}": bounds for part, bounds in DATE_PARTS.items()}

    def _parameters(self, item: Any, request: HttpRequest | None) -> set[str]:
        if isinstance(item, type) and issubclass(item, SimpleListFilter):
            return {str(item.parameter_name)}
        path, make = item if isinstance(item, (list, tuple)) else (item, FieldListFilter.create)
        field = path if isinstance(path, models.Field) else get_fields_from_path(self.model, path)[-1]
        spec = make(field, request, {}, self.model, self, field_path=path)
        return {str(name) for name in spec.expected_parameters()}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in self.filters_listed(request)

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        key = self.opts.pk
        return to_field in (key.name, key.attname) and super().to_field_allowed(request, to_field)

    def refused(self, request: HttpRequest, asked: QueryDict) -> list[str]:
        """The parameters of an address that the list does not take, or not with such a value."""
        listed = self.filters_listed(request)
        return [name for name, values in asked.lists() if not self._is_taken(name, values, listed)]

    def _is_taken(self, name: str, values: list[str], listed: frozenset[str]) -> bool:
        if name not in MOVES and name not in listed:
            return False
        if len(values) > 1 or any(len(value) > LONGEST for value in values):
            return False
        bounds = self._date_parameters().get(name)
        return bounds is None or all(_is_between(value, *bounds) for value in values)

    def get_preserved_filters(self, request: HttpRequest) -> str:
        kept = QueryDict(QueryDict(super().get_preserved_filters(request)).get(FILTERS, ""), mutable=True)
        for name in self.refused(request, kept):
            del kept[name]
        return urlencode({FILTERS: kept.urlencode()}) if kept else ""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if self.has_view_or_change_permission(request) and (names := self.refused(request, request.GET)):
            return self._refuse(request, names)
        return super().changelist_view(request, extra_context)

    def _refuse(self, request: HttpRequest, names: list[str]) -> HttpResponse:
        """Redirect to the unfiltered list, as the framework does with invalid parameters, with a message that names
        them.
        """
        shown = ", ".join(f"« {name[:60]} »" for name in names[:5])
        messages.warning(
            request,
            _("Cette liste ne se filtre pas ainsi : %(names)s. Elle est affichée en entier.") % {"names": shown},
        )
        return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")


def _is_between(text: str, low: int, high: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4 and low <= int(text) <= high


def check_choice_request(request: HttpRequest) -> None:
    """Refuse a search for the objects of a field that asks for more than its words.

    Raises:
        DisallowedModelAdminLookup: answered with 400.
    """
    for name, values in request.GET.lists():
        if name not in CHOICE_PARAMETERS or any(len(value) > LONGEST for value in values):
            raise DisallowedModelAdminLookup(f"Filtering by {name[:60]} not allowed")
