"""Coverage: cells and score equal an independent oracle; the sum shown is the score."""

import json
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from notifications.core import coverage
from notifications.core.coverage import Acknowledgement, CoverageState
from notifications.core.facts import CompanyFacts
from tests.notifications.answers.companies import companies_with_conditions, expected_cells, expected_score

NOTED = Acknowledgement("Claire", datetime(2026, 11, 27, tzinfo=UTC), date(2026, 12, 1))


@given(companies_with_conditions(), st.booleans())
def test_cells_and_score_are_those_of_the_oracle(company: CompanyFacts, accepts: bool) -> None:
    known: Any = {("platform_incident", None): NOTED} if accepts else {}
    found = coverage.coverage(company, known)
    document = coverage.document(found)
    cells = [
        {name: cell[name] for name in ("notification", "shop", "state", "addresses")} for cell in document["cells"]
    ]
    expected = expected_cells(company)
    assert cells == expected
    assert document["score"] == expected_score(expected, set(known))
    for cell in document["cells"]:
        assert cell["critical"] is (
            cell["notification"] in ("ipn_failure", "platform_incident", "production_key_generated")
        )
        is_gap = cell["state"] in ("nobody", "nobody_on_purpose")
        assert (cell["acknowledged"] is not None) is (is_gap and (cell["notification"], cell["shop"]) in known)


@given(companies_with_conditions())
def test_the_sum_that_is_shown_gives_the_score_and_mending_everything_gives_the_rest(company: CompanyFacts) -> None:
    found = coverage.coverage(company)
    terms = coverage.arithmetic(found.cells)
    assert sum(term.points for term in terms) == found.points
    assert sum(term.most for term in terms) == found.total
    if found.total:
        assert int(100 * found.points / found.total + Fraction(1, 2)) == found.score
        gained = sum(fix.gain for fix in coverage.fixes(found))
        assert 100 * found.points / found.total + gained == 100
    else:
        assert found.score == 100 and coverage.fixes(found) == []


@given(companies_with_conditions())
def test_every_shop_stands_in_exactly_one_column(company: CompanyFacts) -> None:
    found = coverage.coverage(company)
    columns = coverage.columns(company, found)
    shops = sorted(shop.site_id for column in columns for shop in column.shops)
    assert shops == sorted(shop.site_id for shop in company.shops)
    for column in columns:
        for shop in column.shops:
            mine = {
                cell.notification: (cell.state, cell.addresses) for cell in found.cells if cell.shop == shop.site_id
            }
            assert mine == {code: (cell.state, cell.addresses) for code, cell in column.cells.items()}


@pytest.mark.parametrize(("points", "total", "expected"), [(1, 8, 13), (1, 3, 33), (2, 3, 67), (0, 1, 0), (1, 200, 1)])
def test_the_score_is_rounded_half_up(points: int, total: int, expected: int) -> None:
    covered = [coverage.Cell("newsletter", None, CoverageState.COVERED, 2)] * points
    nobody = [coverage.Cell("newsletter", None, CoverageState.NOBODY, 0)] * (total - points)
    assert coverage.score([*covered, *nobody]) == expected


def test_states_stand_worst_first() -> None:
    assert [state.value for state in CoverageState] == [
        "nobody",
        "nobody_on_purpose",
        "off",
        "unverified",
        "single",
        "covered",
    ]


@pytest.mark.django_db
def test_the_command_prints_json_csv_and_a_last_line_with_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory

    company = CompanyFactory(reference="x", incident_emails=["a@x.example", "b@x.example"])
    shop = ShopFactory(company=company, site_id="10000001")
    NotificationRuleFactory(shop=shop, ipn=True, recipients=[])

    def run(*options: str) -> str:
        capsys.readouterr()
        call_command("coverage", "x", *options)
        return capsys.readouterr().out

    document = json.loads(run("--format", "json"))
    assert list(document) == ["company", "score", "cells"]
    assert list(document["cells"][0]) == ["notification", "shop", "state", "addresses", "critical", "acknowledged"]
    assert document["cells"][0] | {"state": "nobody_on_purpose"} == document["cells"][0]
    rows = run("--format", "csv").splitlines()
    assert rows[0] == "notification,shop,state,addresses,critical,acknowledged"
    assert len(rows) == len(document["cells"]) + 1
    assert run("--format", "table").splitlines()[-1] == f"score={document['score']}"
