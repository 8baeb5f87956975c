"""The filter by company that every list of the staff site has where its rows belong to one."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from companies.models import Company, Membership

# Up to so many companies are links; more are searched for.
FEW = 12
_FIELD = Membership._meta.get_field("company")


class CompanyFilter(admin.SimpleListFilter):
    """The rows of one company: `of_company` of the page says which those are.

    Only who may look at companies is offered any; links of other pages work for everybody who sees the list.
    """

    title = gettext_lazy("société")
    parameter_name = "company__id__exact"
    template = "admin/company_filter.html"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.page = model_admin
        self.may_choose = request.user.has_perm("companies.view_company")
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def has_output(self) -> bool:
        return self.may_choose or bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        asked = self.value()
        if not asked:
            return queryset
        try:
            key = _FIELD.remote_field.model._meta.pk.to_python(asked)
            _FIELD.remote_field.model._meta.pk.run_validators(key)
        except ValidationError as error:
            raise IncorrectLookupParameters from error
        of_company: QuerySet[Any] = self.page.of_company(queryset, key)
        return of_company

    def choices(self, changelist: Any) -> Iterator[Any]:
        """« Toutes », and the companies themselves where they are few, or the chosen one."""
        self.kept = [(name, value) for name, value in changelist.params.items() if self._is_kept(name)]
        chosen = str(self.value() or "")
        yield {
            "selected": not chosen,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": _("Toutes"),
        }
        for key, name in self._offered(chosen):
            yield {
                "selected": str(key) == chosen,
                "query_string": changelist.get_query_string({self.parameter_name: key}),
                "display": name,
            }

    def _is_kept(self, name: str) -> bool:
        return name not in (self.parameter_name, "p", "e")

    def _offered(self, chosen: str) -> list[tuple[int, str]]:
        if self.is_few:
            return self._companies
        return list(Company.objects.filter(pk=chosen).values_list("pk", "name")) if chosen else []

    @cached_property
    def _companies(self) -> list[tuple[int, str]]:
        return list(Company.objects.order_by("name", "pk").values_list("pk", "name")[: FEW + 1])

    @property
    def is_few(self) -> bool:
        return self.may_choose and len(self._companies) <= FEW

    @property
    def search(self) -> str:
        """The field that finds a company by what is typed."""
        attrs = {"id": "company-filter", "aria-label": _("Société"), "data-placeholder": _("Chercher une société")}
        widget = AutocompleteSelect(_FIELD, admin.site, attrs=attrs)
        field = forms.ModelChoiceField(Company.objects.none(), required=False, widget=widget)
        return str(field.widget.render(self.parameter_name, None))


def media() -> Any:
    """What the field that finds a company needs on a page."""
    return AutocompleteSelect(_FIELD, admin.site).media
