"""Read-only lists of the staff site that may have millions of rows."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dates import MONTHS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base import endless
from companies.staff.pages import ReadOnlyAdmin

# Months offered one by one; older ones are reached by their address.
MONTHS_BACK = 13
MOST_WORDS = 4


class PeriodFilter(admin.SimpleListFilter):
    """By day or month, offered from the calendar: which of them have rows is not asked of the table."""

    title = gettext_lazy("période")
    parameter_name = "period"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.column = model_admin.newest_by
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        today = timezone.localdate()
        recent = [("1", _("aujourd'hui")), ("7", _("7 derniers jours")), ("30", _("30 derniers jours"))]
        chosen = str(request.GET.get(self.parameter_name, ""))
        days = _days(chosen[:7]) if len(chosen) >= 7 else []
        return [*recent, *((f"{first:%Y-%m}", _month(first)) for first in _months(today)), *days]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(between(self.column, self.value() or ""))


def between(column: str, text: str) -> Q:
    """The rows of a period as `PeriodFilter` has it in addresses; all where it is none."""
    span = period(text)
    if span is None:
        return Q()
    begin, end = (timezone.make_aware(datetime.combine(day, time.min)) for day in span)
    return Q(**{f"{column}__gte": begin, f"{column}__lt": end})


def period(text: str) -> tuple[date, date] | None:
    """The first day and the one after the last of `7`, `2026-11` or `2026-11-23`; None for anything else."""
    today = timezone.localdate()
    if text in ("1", "7", "30"):
        return today - timedelta(days=int(text) - 1), today + timedelta(days=1)
    try:
        if len(text) == 7:
            first = date.fromisoformat(f"{text}-01")
            return _within(first, (first + timedelta(days=31)).replace(day=1))
        if len(text) == 10:
            day = date.fromisoformat(text)
            return _within(day, day + timedelta(days=1))
    except (ValueError, OverflowError):
        pass
    return None


def _within(first: date, last: date) -> tuple[date, date] | None:
    # Days at the ends of the calendar cannot be moved between time zones.
    return (first, last) if 1970 <= first.year < 3000 else None


def _months(today: date) -> list[date]:
    months = [today.replace(day=1)]
    while len(months) < MONTHS_BACK:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    return months


def _month(first: date) -> str:
    return f"{MONTHS[first.month]} {first.year}"


def _days(month: str) -> list[tuple[str, str]]:
    """The days of a month that is chosen, or of which a day is."""
    span = period(month)
    if span is None:
        return []
    days = [span[0] + timedelta(days=number) for number in range((span[1] - span[0]).days)]
    return [(day.isoformat(), f"{day.day} {_month(day)}") for day in days]


class EndlessAdmin(ReadOnlyAdmin):
    """A list of which no page counts, sorts or searches all rows.

    Attributes:
        newest_by: the column of time that it is listed by, newest first; an index serves it.
        date_hierarchy: the same column, so that addresses of years and months are understood. The bar itself, which
            asks the whole table for its dates, is not shown; `PeriodFilter` takes its place.
    """

    newest_by = ""
    sortable_by = ()
    list_max_show_all = 0

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return (f"-{self.newest_by}", "-pk")

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
    ) -> Paginator:  # type: ignore[type-arg]
        if queryset.model is not self.model:
            # What the framework has noted about one object.
            return super().get_paginator(request, queryset, per_page, orphans, allow_empty_first_page)
        return endless.BoundedPaginator(
            queryset, per_page, by=self.newest_by, once=bool(request.GET.get("q", "").strip())
        )

    def wanted(self, word: str) -> endless.Wanted:
        """What a word of a search may be."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # The longest word leaves the fewest rows to hold the others against.
        words = sorted(search_term.split(), key=len, reverse=True)[:MOST_WORDS]
        return endless.matching(queryset, [self.wanted(word) for word in words], by=self.newest_by), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EndlessList


class EndlessList(ChangeList):
    """A change list that always reads the rows of a page through its paginator."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.date_hierarchy = None
        if isinstance(self.result_list, QuerySet):
            self.result_list = self.paginator.page(self.page_num).object_list
