"""Dates and times for people: one form per kind of place, and the hours around a change of the clock told apart."""

import ast
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.template import engines
from django.utils import timezone, translation

from backoffice.text import times
from notifications.mail.composers.base import when_text
from tests.factories import CompanyFactory, DeliveryFactory, EventFactory, ShopFactory, UserFactory

ROOT = Path(settings.BASE_DIR)
# Europe/Paris, 25 October 2026: 02:30 comes at 00:30 UTC and again at 01:30 UTC.
FIRST, SECOND = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
# 29 March 2026: after 01:59 comes 03:00.
BEFORE, AFTER = datetime(2026, 3, 29, 0, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
USUAL = datetime(2026, 11, 1, 9, 5, tzinfo=UTC)

WRITERS: dict[str, Callable[[datetime], str]] = {
    "clock": times.clock,
    "short_moment": times.short_moment,
    "long_moment": times.long_moment,
    "exact": times.exact,
    "in_mail": times.in_mail,
    "mails": when_text,
}


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_the_hour_that_comes_twice_is_told_apart(write: Callable[[datetime], str], language: str) -> None:
    with translation.override(language), timezone.override("Europe/Paris"):
        first, second, usual = write(FIRST), write(SECOND), write(USUAL)
        assert "UTC+02:00" in first and "UTC+01:00" in second
        assert first.replace("UTC+02:00", "").replace("CEST", "CET") == second.replace("UTC+01:00", "")
        assert "UTC" not in usual, "on usual days nobody has to read an offset"
        assert "UTC+01:00" in write(BEFORE) and "UTC+02:00" in write(AFTER), "the hour that is left out"


@pytest.mark.parametrize(
    ("zone", "moment", "offset"),
    [
        ("America/New_York", datetime(2026, 11, 1, 5, 30, tzinfo=UTC), "UTC-04:00"),
        ("America/New_York", datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "UTC-05:00"),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, 15, tzinfo=UTC), "UTC+10:30"),
        ("Asia/Kolkata", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), ""),
        ("Pacific/Tahiti", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), ""),
    ],
)
def test_every_zone_has_its_own_changes(zone: str, moment: datetime, offset: str) -> None:
    with timezone.override(zone):
        assert times.offset(moment) == offset


@pytest.mark.parametrize(
    ("language", "value", "expected"),
    [
        ("fr", date(2026, 11, 1), "1er novembre 2026"),
        ("fr", date(2026, 11, 11), "11 novembre 2026"),
        ("fr", date(2026, 11, 21), "21 novembre 2026"),
        ("en", date(2026, 11, 1), "1 November 2026"),
    ],
)
def test_the_first_of_a_month_is_an_ordinal_in_french(language: str, value: date, expected: str) -> None:
    with translation.override(language):
        assert times.day(value) == expected
        assert engines["django"].from_string("{% load shell %}{{ d|day }}").render({"d": value}) == expected


@pytest.mark.django_db
def test_pages_mails_and_files_tell_the_two_apart(client_for: Any) -> None:
    shop = ShopFactory(company=CompanyFactory(time_zone="Europe/Paris"))
    client = client_for(UserFactory(company=shop.company))
    seen = []
    for moment in (FIRST, SECOND):
        event = EventFactory(shop=shop, company=shop.company, occurred_at=moment)
        row = DeliveryFactory(event=event, shop=shop, company=shop.company, created_at=moment)
        page = client.get(f"/notifications/journal/{row.pk}/").content.decode()
        listed = client.get("/notifications/journal/").content.decode()
        seen.append((page, listed))
    assert "02:30:00 (CEST, UTC+02:00)" in seen[0][0] and "02:30:00 (CET, UTC+01:00)" in seen[1][0]
    assert "(UTC+02:00)" in seen[1][1] and "(UTC+01:00)" in seen[1][1], "the list shows both apart"
    file = b"".join(client.get("/notifications/journal/?format=csv").streaming_content).decode()
    assert "2026-10-25T00:30:00Z" in file and "2026-10-25T01:30:00Z" in file
    staff = client_for(UserFactory(is_staff=True, is_superuser=True))
    admin = staff.get("/admin/notifications/delivery/").content.decode()
    assert "(UTC+02:00)" in admin and "(UTC+01:00)" in admin
    shown = staff.get(f"/admin/notifications/delivery/{row.pk}/change/").content.decode()
    assert "25 octobre 2026 à 2\xa0h\xa030 (UTC+01:00)" in shown


# In templates: for machines, for inputs, and the one short date. Everything else goes through `backoffice.times`.
ALLOWED = {"c", "Y-m-d", "SHORT_DATE_FORMAT"}


def test_no_page_writes_a_date_in_a_way_of_its_own() -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {found}"
        for path in (ROOT / "templates").rglob("*")
        if path.is_file()
        for found in re.findall(r"\|(?:date|time)(?::[\"']([^\"']*)[\"']|\b)", path.read_text(encoding="utf-8"))
        if found not in ALLOWED
    }
    assert wrong == set()


def test_no_program_writes_a_date_in_a_way_of_its_own() -> None:
    wrong = set()
    for app in ("backoffice", "companies", "notifications", "shops"):
        for path in (ROOT / app).rglob("*.py"):
            if path.name == "times.py" or "migrations" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
                    "date_format",
                    "time_format",
                ):
                    wrong.add(str(path.relative_to(ROOT)))
    assert wrong == set()
