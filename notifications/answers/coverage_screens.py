"""The coverage as its page shows it: matrix, next fixes, gaps, the sum behind the score.

Works on what the core computed; reads nothing from the database but the rights of the reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from companies.models import Membership
from notifications.answers.rights import may_change, needed_permission, roles_with
from notifications.answers.screens import why_url
from notifications.core import coverage, coverage_wording, wording
from notifications.core.catalogue import BY_CODE, TABLE_ROWS, Scope, Source
from notifications.core.coverage import Cell, Column, Coverage, CoverageState, Fix
from notifications.core.facts import CompanyFacts
from notifications.tables.screens import NAMED_SHOPS

# What to mend first; the matrix shows the rest.
NAMED_FIXES = 3


@dataclass(frozen=True)
class CellView:
    """One cell in a letter, a colour and words, with the way to its proof."""

    letter: str
    css: str
    words: str
    url: str
    column: str = ""


@dataclass(frozen=True)
class MatrixRow:
    """One notification over the columns of the page."""

    code: str
    label: str
    is_critical: bool
    cells: list[CellView]


@dataclass(frozen=True)
class FixView:
    """One thing to mend: what, where, and what it brings."""

    label: str
    state: str
    where: str
    advice: str
    points: str
    url: str
    who: str


@dataclass(frozen=True)
class GapView:
    """A cell that reaches nobody, with what is known of it."""

    cell: Cell
    label: str
    shop: str
    words: str
    url: str
    fix_url: str


def place_of(cell: Cell) -> str:
    """The page where a cell can be mended."""
    row = BY_CODE[cell.notification]
    if row.scope is Scope.RULE:
        rule = f"&rule={cell.rules[0]}" if cell.rules else ""
        return f"{reverse('rules')}?shop={cell.shop}{rule}"
    if row.to is Source.SHOP_MANAGER and cell.shop:
        return reverse("shop_configuration", args=[cell.shop])
    return reverse("company_settings")


def accept_url(cell: Cell) -> str:
    """The page where a gap is accepted until a day."""
    if cell.shop:
        return reverse("gap_accept_shop", args=[cell.shop, cell.notification])
    return reverse("gap_accept", args=[cell.notification])


def cell_url(cell: Cell) -> str:
    """The page « Pourquoi ? » of a cell."""
    return why_url(notification=cell.notification, shop=cell.shop)


def _css(cell: Cell) -> str:
    return "accepted" if cell.is_accepted else cell.state.value.replace("_", "-")


def _cell_view(cell: Cell, column: Column | None = None) -> CellView:
    # Shops with equal cells share one; what each of them does is one page further.
    if column and len(column.shops) > 1:
        url = f"{reverse('by_notification')}?notification={cell.notification}"
    else:
        url = cell_url(cell)
    words, name = coverage_wording.cell_words(cell), _column_name(column) if column else ""
    return CellView(coverage_wording.letter(cell), _css(cell), words, url, name)


def _column_name(column: Column) -> str:
    shops = len(column.shops)
    return column.first.name if shops == 1 else ngettext("%(n)d boutique", "%(n)d boutiques", shops) % {"n": shops}


def matrix(columns: Sequence[Column]) -> list[MatrixRow]:
    """One row a notification of shops, one cell a column."""
    return [
        MatrixRow(
            row.code,
            force_str(row.label),
            row.critical,
            [_cell_view(column.cells[row.code], column) for column in columns],
        )
        for row in TABLE_ROWS
        if row.scope in (Scope.SHOP, Scope.RULE)
    ]


def company_rows(covered: Coverage) -> list[MatrixRow]:
    """The notifications of the company as a whole."""
    return [
        MatrixRow(
            cell.notification, wording.notification_label(cell.notification), cell.is_critical, [_cell_view(cell)]
        )
        for cell in covered.cells
        if cell.shop is None
    ]


def legend(covered: Coverage) -> list[CellView]:
    """Each state that occurs, once, worst first."""
    seen: dict[str, Cell] = {}
    for cell in covered.cells:
        seen.setdefault(_css(cell), cell)
    order = list(CoverageState)
    cells = sorted(seen.values(), key=lambda cell: (order.index(cell.state), cell.is_accepted))
    return [
        CellView(
            coverage_wording.letter(cell),
            _css(cell),
            coverage_wording.state_words(cell.state, is_accepted=cell.is_accepted),
            "",
        )
        for cell in cells
    ]


def fixes(covered: Coverage, facts: CompanyFacts, membership: Membership) -> list[FixView]:
    """What to mend first."""
    names = {shop.site_id: shop.name for shop in facts.shops}
    return [_fix(fix, names, membership) for fix in coverage.fixes(covered)[:NAMED_FIXES]]


def _fix(fix: Fix, names: dict[str, str], membership: Membership) -> FixView:
    first, permission = fix.cells[0], needed_permission(fix.notification, BY_CODE[fix.notification].to)
    allowed = may_change(membership, permission, first.shop)
    several = len({place_of(cell) for cell in fix.cells}) > 1
    url = f"{reverse('by_notification')}?notification={fix.notification}" if several else place_of(first)
    return FixView(
        label=wording.notification_label(fix.notification),
        state=coverage_wording.state_words(fix.state),
        where=where(fix.cells, names),
        advice=coverage_wording.advice(fix),
        points=coverage_wording.points_text(fix.gain),
        url=url if allowed else "",
        who="" if allowed else _("Peut le changer : %(roles)s.") % {"roles": roles_with(permission)},
    )


def where(cells: Sequence[Cell], names: dict[str, str]) -> str:
    """The shops of some cells, by name up to a number."""
    shops = [names[cell.shop] for cell in cells if cell.shop]
    if not shops:
        return _("Société")
    if len(shops) <= 3:
        return ", ".join(shops)
    return ngettext("%(n)d boutique", "%(n)d boutiques", len(shops)) % {"n": len(shops)}


def gaps(covered: Coverage, facts: CompanyFacts, membership: Membership, *, accepted: bool) -> list[GapView]:
    """The cells that reach nobody: those accepted for now, or those that are not."""
    names = {shop.site_id: shop.name for shop in facts.shops}
    return [
        _gap(cell, names, membership)
        for cell in covered.cells
        if cell.is_gap and (cell.acknowledged is not None) is accepted
    ]


def _gap(cell: Cell, names: dict[str, str], membership: Membership) -> GapView:
    permission = needed_permission(cell.notification, BY_CODE[cell.notification].to)
    return GapView(
        cell=cell,
        label=wording.notification_label(cell.notification),
        shop=names[cell.shop] if cell.shop else "",
        words=coverage_wording.state_words(cell.state),
        url=cell_url(cell),
        fix_url=place_of(cell) if may_change(membership, permission, cell.shop) else "",
    )


def sum_lines(covered: Coverage) -> list[dict[str, Any]]:
    """The terms of the score as they are added up."""
    return [
        {
            "state": coverage_wording.state_words(term.state, is_accepted=term.is_accepted),
            "cells": term.cells,
            "weight": term.weight,
            "credit": coverage_wording.credit_text(term.credit),
            "points": coverage_wording.points_text(term.points),
            "most": term.most,
        }
        for term in coverage.arithmetic(covered.cells)
    ]


def verdict(covered: Coverage) -> str:
    """The summary of the coverage: how many cells reach nobody."""
    counted = [cell for cell in covered.cells if cell.counts]
    missing = sum(1 for cell in counted if cell.is_gap and cell.acknowledged is None)
    if not counted:
        return _("Rien n'est en service : il n'y a rien à couvrir.")
    if not missing:
        return _("Chaque notification en service atteint quelqu'un, ou son manque est accepté.")
    told = ngettext(
        "%(n)d notification en service sur %(total)d n'atteint personne.",
        "%(n)d notifications en service sur %(total)d n'atteignent personne.",
        missing,
    )
    return told % {"n": missing, "total": len(counted)}


def named_shops(column: Column) -> list[tuple[str, str]]:
    return [(shop.site_id, shop.name) for shop in column.shops[:NAMED_SHOPS]]
