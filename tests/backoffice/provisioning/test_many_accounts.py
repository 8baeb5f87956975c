"""A list of many accounts of which few change: those that stay are read in one go, and nothing that differs is missed."""

from copy import deepcopy
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backoffice.provisioning import exporting
from backoffice.provisioning.applying import provision
from backoffice.provisioning.work import Report
from companies.models import Company
from shops.models import Shop

pytestmark = pytest.mark.django_db


def users(count: int) -> list[dict[str, Any]]:
    return [
        {"login": f"u{n:02d}", "email": f"u{n}@x.example", "first_name": "F", "role": "viewer", "shops": ["10000001"]}
        for n in range(count)
    ]


def applied(company: Company, listed: list[dict[str, Any]]) -> Report:
    return provision({"companies": [{"reference": company.reference, "users": listed}]})


@pytest.fixture(autouse=True)
def _has_thirty_accounts(company: Company, paris: Shop, lyon: Shop) -> None:
    applied(company, users(30))


def test_accounts_that_stay_cost_no_statement_of_their_own(company: Company) -> None:
    def statements(count: int) -> int:
        applied(company, users(count))
        with CaptureQueriesContext(connection) as executed:
            assert applied(company, users(count)).unchanged == count + 1
        return len(executed)

    assert statements(30) == statements(15)


@pytest.mark.parametrize(
    "change",
    [
        {"email": "Autre@x.example"},
        {"email": "U3@x.example"},
        {"first_name": ""},
        {"last_name": "Nom"},
        {"language": "en"},
        {"role": "manager"},
        {"shops": "*"},
        {"shops": ["10000002"]},
        {"shops": ["10000001", "10000002"]},
        {"permissions": ["view"]},
        {"shop_permissions": {"10000001": ["view", "resend"]}},
        {"enabled": False},
        {"password": "un-mot-de-passe-long"},
    ],
)
def test_whatever_differs_is_changed_once(company: Company, change: dict[str, Any]) -> None:
    listed = users(30)
    listed[3] |= change
    said = applied(company, deepcopy(listed))
    assert (said.updated, said.unchanged) == (1, 30)
    (now,) = [one for one in exporting.user_documents(company) if one["login"] == "u03"]
    held = {name: value for name, value in change.items() if name != "password"}
    assert {name: now[name] for name in held} == held
    assert applied(company, listed).updated == 0


def test_what_is_exported_is_unchanged(company: Company) -> None:
    assert applied(company, exporting.user_documents(company)).updated == 0
