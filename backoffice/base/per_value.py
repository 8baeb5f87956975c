"""The newest row of each of many values, in one statement: an index is asked once a value, other rows are not read."""

import json
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import CharField, Expression, QuerySet


class _Wanted(Expression):
    """The value that the statement around a query has come to."""

    output_field = CharField()

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        return "wanted.value", ()


def first_of_each(rows: QuerySet[Any], column: str, values: Iterable[str], told: str) -> dict[str, Any]:
    """What a column says in the first row of each value.

    Args:
        rows: in an order that an index on `column` serves, which has the columns of their filter as well.
        column: text, compared with the values.
        told: the column whose value is wanted.

    Returns:
        Value → what its first row says; a value without a row is missing.
    """
    asked = list(dict.fromkeys(values))
    if not asked:
        return {}
    sql, params = rows.filter(**{column: _Wanted()}).values(told)[:1].query.sql_with_params()
    given: Any
    if connection.vendor == "postgresql":
        source, given = "unnest(%s::text[]) AS wanted(value)", asked
    else:
        # A list would be bounded by the number of parameters.
        source, given = "json_each(%s) AS wanted", json.dumps(asked)
    with connection.cursor() as cursor:
        # The text is that of the framework; what people typed is in the parameters.
        cursor.execute(f"SELECT wanted.value, ({sql}) FROM {source}", [*params, given])  # noqa: S608
        answers = cursor.fetchall()
    field = rows.model._meta.get_field(told)
    expression = field.cached_col
    converters = [*connection.ops.get_db_converters(expression), *field.get_db_converters(connection)]
    told_of = {}
    for value, said in answers:
        if said is not None:
            for convert in converters:
                said = convert(said, expression, connection)
            told_of[value] = said
    return told_of
