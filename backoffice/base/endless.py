"""Lists that may have millions of rows: newest first, counted and searched within bounds.

A page of them costs the same however long the list is. No statement counts, sorts or skips more than CEILING rows;
what lies beyond is reached by narrowing the list, or by going on from the last row of a page (`?before=`).
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, reduce
from operator import or_
from typing import Any

from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db import connection
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from backoffice.base import paging

CEILING = 10_000
# So many of the newest rows are searched for a part of a word, which no index finds.
READ_FOR_PARTS = 2_000
# Behind every character that an address or identifier has.
_LAST = "\U0010ffff"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of a query, of which CEILING rows are counted at most.

    The keys of a page are found first, in an index where there is one; the rows of the page alone are then read with
    all that is shown of them.

    Args:
        by: the column of time that says which rows are the newest.
        sort: an `order_by` expression to show the newest CEILING rows in; empty for newest first.
        wanted: what is searched for among the rows.
        once: the rows are few by themselves, and asked for once for their number and the page.
    """

    def __init__(
        self,
        rows: QuerySet[Any],
        per_page: int,
        *,
        by: str,
        sort: str = "",
        wanted: Sequence["Wanted"] = (),
        once: bool = False,
    ) -> None:
        super().__init__(rows, per_page)
        self.rows, self.by, self.wanted = rows, by, wanted
        self.once = once or bool(wanted)
        self.sorted_by = "" if sort == f"-{by}" else sort

    @cached_property
    def counted(self) -> int:
        return len(self._found) if self.once else self.rows.order_by()[: CEILING + 1].count()

    @property
    def count(self) -> int:
        return min(self.counted, CEILING)

    @property
    def is_more(self) -> bool:
        """Whether there are rows beyond those counted."""
        return self.counted > CEILING

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        bottom = (number - 1) * self.per_page
        top = min(bottom + self.per_page, self.count)
        keys = list((self._found if self.once else self._keys())[bottom:top]) if self.count else []
        return Page(self._read(keys), number, self)

    @cached_property
    def _found(self) -> list[Any]:
        """The keys of all rows, in their order."""
        if not self.wanted:
            return list(self._keys()[: CEILING + 1])
        keys = search(self.rows, self.wanted, by=self.by)
        return list(self._in_order(self.rows.model._default_manager.filter(pk__in=keys))) if self.sorted_by else keys

    def _keys(self) -> QuerySet[Any]:
        newest = self.rows.order_by(f"-{self.by}", "-pk")
        if not self.sorted_by:
            return newest.values_list("pk", flat=True)
        return self._in_order(self.rows.model._default_manager.filter(pk__in=newest.values("pk")[:CEILING]))

    def _in_order(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.order_by(self.sorted_by, "-pk").values_list("pk", flat=True)

    def _read(self, keys: list[Any]) -> list[Any]:
        """The rows of these keys, without asking again what led to them."""
        if not keys:
            return []
        rows = self.rows.model._default_manager.filter(pk__in=keys)
        rows.query.select_related = self.rows.query.select_related
        read = {row.pk: row for row in rows.order_by()}
        return [read[key] for key in keys if key in read]

    def older(self, page: Page[Any]) -> str:
        """What `?before=` goes on with behind the last page; empty where nothing follows, or it is not by time."""
        if not self.is_more or self.sorted_by or page.has_next() or not page.object_list:
            return ""
        return cursor_of(page.object_list[-1], self.by)


def paginate(
    request: HttpRequest,
    rows: QuerySet[Any],
    *,
    by: str,
    sort: str = "",
    wanted: Sequence["Wanted"] = (),
    once: bool = False,
    default: int = paging.DEFAULT_SIZE,
) -> Page[Any]:
    """The page of an endless list that `?page=`, `?size=` and `?before=` ask for.

    Args:
        by, sort, wanted, once: as in `BoundedPaginator`.
    """
    rows = before(rows, request.GET.get("before", ""), by)
    size = paging.size_of(request, default)
    pages = BoundedPaginator(rows, size, by=by, sort=sort, wanted=wanted, once=once)
    return pages.get_page(request.GET.get("page"))


# --- Going on from a row --------------------------------------------------------------------------


def cursor_of(row: Model, by: str) -> str:
    """Where a row stands, for a query string."""
    moment = getattr(row, by).astimezone(UTC)
    return base64.urlsafe_b64encode(f"{moment:%Y-%m-%dT%H:%M:%S.%f} {row.pk}".encode()).decode().rstrip("=")


def before(rows: QuerySet[Any], cursor: str, by: str) -> QuerySet[Any]:
    """The rows that are older than the one of a cursor; all of them where it makes no sense."""
    place = _place(rows, cursor)
    if place is None:
        return rows
    moment, key = place
    # The first condition alone is what an index serves.
    return rows.filter(**{f"{by}__lte": moment}).filter(Q(**{f"{by}__lt": moment}) | Q(pk__lt=key))


def _place(rows: QuerySet[Any], cursor: str) -> tuple[datetime, Any] | None:
    if not cursor or len(cursor) > 200:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        moment, _space, key = text.partition(" ")
        field = rows.model._meta.pk
        value = field.to_python(key)
        field.run_validators(value)
        return datetime.fromisoformat(moment).replace(tzinfo=UTC), value
    except (binascii.Error, ValueError, ValidationError, OverflowError):
        return None


# --- Searching ------------------------------------------------------------------------------------


def begins(column: str, text: str) -> Q:
    """Rows whose column begins with a text, as an index on it can serve; upper and lower case are told apart."""
    if not text:
        return Q(pk__in=[])
    if connection.vendor == "sqlite":
        # LIKE ignores case there, and so the index.
        return Q(**{f"{column}__gte": text, f"{column}__lt": text + _LAST})
    return Q(**{f"{column}__startswith": text})


def newest(rows: QuerySet[Any], *, by: str) -> QuerySet[Any]:
    """The newest READ_FOR_PARTS of the rows, with all that was to be read along."""
    keys = rows.order_by(f"-{by}", "-pk").values("pk")[:READ_FOR_PARTS]
    few: QuerySet[Any] = rows.model._default_manager.filter(pk__in=keys)
    few.query.select_related = rows.query.select_related
    return few


def has_older(rows: QuerySet[Any], *, by: str) -> bool:
    """Whether there are rows beyond those that are searched for parts of words: a page then says so."""
    return bool(rows.order_by(f"-{by}", "-pk").values("pk")[READ_FOR_PARTS : READ_FOR_PARTS + 1])


def newest_values(rows: QuerySet[Any], column: str, *, by: str) -> set[Any]:
    """What a column holds among the newest rows: choices of a filter, without a DISTINCT over all."""
    return set(rows.order_by(f"-{by}", "-pk").values_list(column, flat=True)[:READ_FOR_PARTS])


@dataclass(frozen=True)
class Wanted:
    """One thing that is looked for.

    Attributes:
        conditions: what it may be, each served by an index of its own.
        parts: a condition that no index serves; only the newest READ_FOR_PARTS rows are held against it.
    """

    conditions: Sequence[Q]
    parts: Q | None = None

    @property
    def anywhere(self) -> Q:
        """All of it as one condition, for rows that are few already."""
        return reduce(or_, (*self.conditions, *([] if self.parts is None else [self.parts])))


def search(rows: QuerySet[Any], wanted: Sequence[Wanted], *, by: str) -> list[Any]:
    """The keys of the rows that fit all that is wanted, the newest first; one more than CEILING at most.

    A statement for each way to fit the first thing that is wanted: joined by OR they would be served by no index.
    """
    places: set[tuple[datetime, Any]] = set()
    for branch in _branches(rows, wanted, by):
        places.update(branch.order_by(f"-{by}", "-pk").values_list(by, "pk")[: CEILING + 1])
    return [key for _moment, key in sorted(places, reverse=True)[: CEILING + 1]]


def first(rows: QuerySet[Any], wanted: Wanted, *, by: str, limit: int) -> list[Any]:
    """The keys of the newest rows that fit, as `search` finds them: for a few lines shown while somebody types."""
    places: set[tuple[datetime, Any]] = set()
    for branch in _branches(rows, [wanted], by):
        places.update(branch.order_by(f"-{by}", "-pk").values_list(by, "pk")[:limit])
    return [key for _moment, key in sorted(places, reverse=True)[:limit]]


def matching(rows: QuerySet[Any], wanted: Sequence[Wanted], *, by: str) -> QuerySet[Any]:
    """The rows that `search` finds, as one query, for what has to be one."""
    if not wanted:
        return rows
    # A compound statement takes no limits in its parts on SQLite, so they stand one level deeper.
    every = rows.model._default_manager
    keys = [
        every.filter(pk__in=branch.order_by(f"-{by}", "-pk").values("pk")[:CEILING]).order_by().values("pk")
        for branch in _branches(rows, wanted, by)
    ]
    if not keys:
        return rows.none()
    return rows.filter(pk__in=keys[0].union(*keys[1:]) if len(keys) > 1 else keys[0])


def _branches(rows: QuerySet[Any], wanted: Sequence[Wanted], by: str) -> list[QuerySet[Any]]:
    first = wanted[0]
    for other in wanted[1:]:
        rows = rows.filter(other.anywhere)
    branches = [rows.filter(one) for one in first.conditions if not _is_empty(one)]
    if first.parts is not None:
        recent = rows.order_by(f"-{by}", "-pk").values("pk")[:READ_FOR_PARTS]
        branches.append(rows.model._default_manager.filter(first.parts, pk__in=recent))
    return branches


def _is_empty(condition: Q) -> bool:
    """Whether a condition holds for nothing whatever the rows: an empty list of keys."""
    return len(condition) == 1 and isinstance(condition.children[0], tuple) and condition.children[0][1] == []
