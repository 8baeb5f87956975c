"""Rows of hot paths, read by the group with statements that are written once.

The framework builds each statement anew, which takes longer than running it, and its rows take longer than what is
done with them. These rows are the same, saved, with the columns that were asked for; whoever uses another one makes
the framework look it up, and tests count that nobody does.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.base import ModelState

_M = TypeVar("_M", bound=models.Model)
Converter = Callable[[Any], Any]


def stored(keys: Sequence[uuid.UUID]) -> list[Any]:
    """Keys as this database stores them, for parameters of a statement that is written out."""
    return list(keys) if connection.features.has_native_uuid_field else [key.hex for key in keys]


def as_key(value: Any) -> uuid.UUID:
    """A key as such a statement returned it."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


class Reading(Generic[_M]):
    """Rows of a table by one of its columns.

    Args:
        names: the columns wanted, as attributes of the row; None for all.
        by: the column that is asked for.
        condition: what else holds, and the order, in SQL.
    """

    def __init__(
        self, model: type[_M], names: Sequence[str] | None = None, *, by: str = "id", condition: str = ""
    ) -> None:
        self._model = model
        self._fields = [field for field in model._meta.concrete_fields if names is None or field.attname in names]
        self._names = [field.attname for field in self._fields]
        columns = ", ".join(f'"{field.column}"' for field in self._fields)
        table = model._meta.db_table
        self._sql = f'SELECT {columns} FROM "{table}" WHERE "{by}" IN (<keys>){condition}'  # noqa: S608 - names of columns
        self._converters = cache(self._converters_of)

    def all(self, keys: Iterable[Any], *more: Any) -> list[_M]:
        """The rows of these keys; no statement where there is none to find.

        Args:
            more: parameters of the condition.
        """
        wanted = list({key for key in keys if key is not None})
        if not wanted:
            return []
        if isinstance(wanted[0], uuid.UUID):
            wanted = stored(wanted)
        with connection.cursor() as cursor:
            cursor.execute(self._sql.replace("<keys>", ", ".join(["%s"] * len(wanted))), [*wanted, *more])
            rows = cursor.fetchall()
        return [self._row(values) for values in rows]

    def by_key(self, keys: Iterable[Any], *more: Any) -> dict[Any, _M]:
        """The rows by their primary key."""
        return {row.pk: row for row in self.all(keys, *more)}

    def _row(self, values: Sequence[Any]) -> _M:
        """A saved row of which these columns are known."""
        row = self._model.__new__(self._model)
        known = row.__dict__
        known.update(zip(self._names, values, strict=True))
        for name, convert in self._converters(connection.vendor):
            known[name] = convert(known[name])
        row._state = ModelState()
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
        return row

    def _converters_of(self, vendor: str) -> list[tuple[str, Converter]]:
        """What makes values of the database values of the row, as the framework does it."""
        converters: list[tuple[str, Converter]] = []
        for field in self._fields:
            column = field.get_col(self._model._meta.db_table)
            steps = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
            if isinstance(field, models.JSONField):
                converters.append((field.attname, _json))
            elif steps:
                converters.append((field.attname, _all_of(steps, column)))
        return converters


def join(rows: Sequence[Any], name: str, read: Reading[Any]) -> None:
    """Set the related rows of a foreign key; one statement for all of them."""
    attribute = f"{name}_id"
    known = read.by_key(getattr(row, attribute) for row in rows)
    for row in rows:
        row._state.fields_cache[name] = known.get(getattr(row, attribute))


def keep_related(rows: Iterable[Any], name: str, attribute: str, read: Reading[Any]) -> None:
    """Set what refers to some rows, as `prefetch_related` does it; one statement for all of them.

    Args:
        name: of the related manager.
        attribute: the foreign key that refers to the rows, with its `_id`.
    """
    of_row: dict[Any, tuple[list[Any], list[Any]]] = {}
    for row in rows:
        of_row.setdefault(row.pk, ([], []))[0].append(row)
    for other in read.all(of_row):
        of_row[getattr(other, attribute)][1].append(other)
    for same, related in of_row.values():
        for row in same:
            known = getattr(row, name).all()
            known._result_cache, known._prefetch_done = related, True
            row._prefetched_objects_cache = {**getattr(row, "_prefetched_objects_cache", {}), name: known}


_EMPTY: dict[str, Callable[[], Any]] = {"{}": dict, "[]": list}


def _json(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return _EMPTY[text]() if text in _EMPTY else json.loads(text)


def _all_of(steps: Sequence[Callable[..., Any]], column: Any) -> Converter:
    def converted(value: Any) -> Any:
        for step in steps:
            value = step(value, column, connection)
        return value

    return converted
