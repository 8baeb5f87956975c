"""Rows of the CSV of answers."""

from collections.abc import Iterator
from decimal import Decimal

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from backoffice.base.csv_files import Figure, neutral, utc
from shops.models import DataFormAnswer
from shops.orders import money

HEADER = ("created_at", "mode", "order", "amount", "currency", "status", "language", "version", "erased_at")


def answer_rows(answers: QuerySet[DataFormAnswer], columns: dict[str, str]) -> Iterator[list[str]]:
    """Header, then one row an answer; amounts as decimals with a point, times in UTC.

    Args:
        columns: field code → label, of `selectors.answer_columns`.
    """
    yield [*HEADER, *(neutral(label) for label in columns.values())]
    for answer in answers.select_related("version").iterator(chunk_size=1000):
        order = answer.order
        decimals = money.DECIMALS.get(order.currency, 2)
        values = {item["code"]: item["value"] for item in answer.values}
        cells = (
            utc(answer.created_at),
            answer.mode,
            order.reference,
            Figure(f"{Decimal(order.amount).scaleb(-decimals):.{decimals}f}"),
            order.currency,
            order.state,
            answer.language,
            answer.version.number if answer.version else _("essai"),
            utc(answer.erased_at),
            *(values.get(code, "") for code in columns),
        )
        yield [neutral(cell) for cell in cells]
