"""The filters of a list: one form, folded into one button on a phone."""

import pytest
from django.template import Context, Template
from django.test import RequestFactory

FIELDS = (
    '<input type="hidden" name="mode" value="TEST"><div><input type="search" name="q"></div>'
    '<div><select name="status"></select></div><div><input name="shop"></div>'
)


def drawn(query: str, fields: str = FIELDS) -> str:
    request = RequestFactory().get(f"/list/?{query}")
    return Template("{% load shell %}{% filter_bar %}" + fields + "{% endfilter_bar %}").render(
        Context({"request": request})
    )


def test_the_button_counts_the_filters_in_use_and_not_the_search() -> None:
    bar = drawn("q=claire&status=sent&shop=&mode=TEST&page=2&sort=name")
    assert '<span class="count" aria-hidden="true">1</span>' in bar
    assert "(1 actif)" in bar
    assert '<input type="hidden" name="sort" value="name">' in bar


@pytest.mark.parametrize(("query", "shown"), [("q=claire", False), ("status=sent&shop=10000001", True)])
def test_a_bar_without_filters_in_use_has_no_number(query: str, shown: bool) -> None:
    assert ('class="count"' in drawn(query)) is shown


def test_a_search_field_alone_is_not_folded() -> None:
    assert "<details" not in drawn("q=claire", '<div><input type="search" name="q"></div>')


def test_a_filter_to_correct_stays_open() -> None:
    assert '<details class="filter-fold" open>' in drawn("shop=x", '<div><input name="shop" aria-invalid="true"></div>')
