"""Pictures drawn by the server: what is seen, what is read aloud, and where a bar leads."""

import re

from django.template.loader import render_to_string

from backoffice.base import charts
from backoffice.base.charts import Bar, HeatCell, Series, Tick

SERIES = (Series("ok", "Envoyés"), Series("fail", "Abandonnés"))


def week(*values: tuple[int, int]) -> charts.Chart:
    bars = [Bar(f"jour {at}", value, f"/journal/?since={at}") for at, value in enumerate(values)]
    return charts.stacked_bars("week", "Envois", "Par jour", SERIES, bars, first_head="Jour")


def heights(svg: str, kind: str) -> list[float]:
    return [float(height) for height in re.findall(rf'class="chart-{kind}"[^>]*height="([0-9.]+)"', svg)]


def test_a_stack_is_as_high_as_its_value_and_never_higher_than_the_picture() -> None:
    svg = str(week((100, 0), (50, 50), (0, 0)).svg)
    whole, half = heights(svg, "ok")
    assert whole <= 100
    assert half < whole
    assert heights(svg, "none") == [1.0]


def test_one_failure_among_thousands_is_still_seen() -> None:
    svg = str(week((9000, 1)).svg)
    assert heights(svg, "fail")[0] >= 4
    assert heights(svg, "fail")[0] + heights(svg, "ok")[0] <= 100


def test_a_failure_has_a_form_besides_its_colour() -> None:
    assert 'fill="url(#form-fail)"' in str(week((1, 1)).svg)
    assert 'fill="url(#form-fail)"' not in str(week((1, 0)).svg)


def test_a_picture_is_an_image_with_title_and_description_and_a_table_of_the_same_links() -> None:
    page = render_to_string("includes/chart.html", {"chart": week((3, 1), (0, 0))})
    assert 'role="img" aria-labelledby="week-title week-desc"' in page
    assert '<title id="week-title">Envois</title><desc id="week-desc">Par jour</desc>' in page
    assert page.count('href="/journal/?since=0"') == 2
    assert "style=" not in page


def test_a_bar_is_a_link_for_the_pointer_and_the_table_is_the_way_of_the_keyboard() -> None:
    page = str(week((3, 1)).svg)
    assert '<svg class="chart-links" aria-hidden="true"' in page
    assert '<a href="/journal/?since=0" tabindex="-1"><rect class="chart-hit"' in page
    assert "<title>jour 0</title>" in page


def test_words_of_people_are_escaped_in_a_picture() -> None:
    hostile = "<script>alert(1)</script>"
    ticks = [Tick("fail", hostile, hostile, "/x/?a=1&b=2")]
    cells = [(hostile, [HeatCell(3, "<", hostile, "/y/")])]
    drawn = [
        charts.strip("calls", hostile, hostile, ticks, heads=("Appel", "Résultat")),
        charts.heat_cells("heat", hostile, hostile, cells, header=("Boutique", "1")),
    ]
    for chart in drawn:
        page = render_to_string("includes/chart.html", {"chart": chart})
        assert "<script>" not in page
    assert "/x/?a=1&amp;b=2" in str(drawn[0].svg)


def test_in_a_strip_a_failure_stands_out_by_its_height() -> None:
    ticks = [Tick("ok", "1", "OK"), Tick("fail", "2", "500")]
    svg = str(charts.strip("calls", "Appels", "", ticks, heads=("Appel", "Résultat")).svg)
    assert heights(svg, "fail")[0] > heights(svg, "ok")[0]
