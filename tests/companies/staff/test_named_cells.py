"""Rows of the staff site as cards: each cell names its column, and what is empty says so."""

import pytest
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from companies.staff.tags import named_cell

HEADERS = [{"text": mark_safe('<input type="checkbox">')}, {"text": "état « propre »"}, {"text": "boutique"}]


def test_a_cell_has_the_name_of_its_column_escaped() -> None:
    cell = format_html('<td class="field-state">{}</td>', "<b>")
    assert named_cell(cell, HEADERS, 1) == '<td class="field-state" data-label="État « propre »">&lt;b&gt;</td>'
    odd = named_cell(cell, [{"text": 'a"><script>'}], 0)
    assert 'data-label="A&quot;&gt;&lt;script&gt;"' in odd


@pytest.mark.parametrize("value", ["-", "–", "", " "])
def test_a_cell_without_a_value_says_so_by_its_class(value: str) -> None:
    cell = format_html('<td class="field-shop">{}</td>', value)
    assert 'class="field-shop nothing"' in named_cell(cell, HEADERS, 2)


@pytest.mark.parametrize(
    "cell",
    [
        mark_safe('<td class="action-checkbox"><input type="checkbox"></td>'),
        mark_safe("<td>what has no class</td>"),
        mark_safe('<th class="field-name">one more than there are heads</th>'),
    ],
)
def test_what_has_no_column_stays_as_it_is(cell: SafeString) -> None:
    assert named_cell(cell, HEADERS, 3 if "more" in cell else 0) == cell


def test_a_picture_is_a_value() -> None:
    cell = mark_safe('<td class="field-enabled"><img src="/yes.svg" alt="True"></td>')
    assert "nothing" not in named_cell(cell, HEADERS, 2)
