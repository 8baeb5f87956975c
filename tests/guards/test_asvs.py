"""docs/asvs.md and what it builds on: every item has its line, every test it names exists, every table says what the code does."""

import ast
import re
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings
from django.urls import get_resolver

from companies.accounts import logins, passwords
from companies.models import Role
from companies.rights import permissions
from notifications import tokens
from notifications.broadcasts import mass_mail
from notifications.journal import call_views
from notifications.rules import trials
from shops import dataform_content as content
from shops.billing import pdf_guard, uploads
from shops.dataforms import public as forms_public
from shops.models import orders as order_models
from shops.orders import public as orders_public
from shops.orders import services as order_services
from tests.guards.test_source_rules import calls, importing, product

ROOT = Path(settings.BASE_DIR)
# Items of levels 1 and 2 in each section of the release 5.0.0; they come before those of level 3 and are numbered from 1.
SECTIONS = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2,
    "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1,
    "3.2": 2, "3.3": 4, "3.4": 6, "3.5": 5, "3.7": 2,
    "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4,
    "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
    "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1,
    "9.1": 3, "9.2": 4,
    "10.1": 2, "10.2": 2, "10.3": 4, "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3,
    "11.1": 2, "11.2": 3, "11.3": 3, "11.4": 4, "11.5": 1, "11.6": 1,
    "12.1": 3, "12.2": 2, "12.3": 4,
    "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5,
    "14.1": 2, "14.2": 4, "14.3": 3,
    "15.1": 3, "15.2": 3, "15.3": 7,
    "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3,
    "17.1": 1, "17.2": 4, "17.3": 2,
}  # fmt: skip
CHAPTERS = {
    1: 27, 2: 11, 3: 19, 4: 10, 5: 9, 6: 35, 7: 18, 8: 7, 9: 7, 10: 29, 11: 14, 12: 9, 13: 13, 14: 9, 15: 13, 16: 16, 17: 7,
}  # fmt: skip
VERDICTS = ("met", "n/a", "open")
ITEM = re.compile(r"(\d+\.\d+)\.(\d+)(?:–(\d+\.\d+)\.(\d+))?\Z")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")


class Line(NamedTuple):
    item: str
    asks: str
    verdict: str
    how: str
    shown: str


def lines() -> list[Line]:
    text = (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\|\s*\d", line)]
    cells = [[cell.strip() for cell in row.strip().strip("|").split(" | ")] for row in rows]
    assert [row for row, found in zip(rows, cells, strict=True) if len(found) != 5] == []
    return [Line(*found) for found in cells]


LINES = lines()


def numbers(line: Line) -> list[str]:
    """The items of a line: one, or a run within a section."""
    found = ITEM.match(line.item)
    assert found, line.item
    section, first, end, last = found.groups()
    assert end in (None, section), line.item
    return [f"{section}.{number}" for number in range(int(first), int(last or first) + 1)]


@lru_cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def security() -> str:
    return (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """A section of docs/security.md, without its heading."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", security(), re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def table(title: str) -> list[list[str]]:
    """The rows of the first table of a section, without its head."""
    rows = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


# --- The list -------------------------------------------------------------------------------------


def test_every_item_of_both_levels_has_its_line_in_order() -> None:
    wanted = [f"{name}.{number}" for name, count in SECTIONS.items() for number in range(1, count + 1)]
    assert [number for line in LINES for number in numbers(line)] == wanted
    assert len(wanted) == 253
    counted = {
        chapter: sum(n for name, n in SECTIONS.items() if name.startswith(f"{chapter}.")) for chapter in CHAPTERS
    }
    assert counted == CHAPTERS


@pytest.mark.parametrize("line", LINES, ids=[line.item for line in LINES])
def test_a_line_says_what_is_asked_with_what_verdict_and_why(line: Line) -> None:
    assert line.verdict in VERDICTS
    assert 2 <= len(line.asks.split()) <= 9, "few words of our own"
    assert line.how not in ("", "–")
    assert len(numbers(line)) == 1 or line.verdict == "n/a", "only what does not apply is taken together"
    named = TEST.findall(line.shown)
    if line.verdict != "met":
        assert line.shown == "–"
        return
    assert named and TEST.sub("", line.shown).strip(" ,") == ""
    for path, function in named:
        assert (ROOT / path).exists(), path
        assert not function or function in functions(path), f"{path}::{function}"


def test_what_is_open_stands_in_the_summary() -> None:
    told = section("OWASP ASVS 5.0, levels 1 and 2")
    known = {
        number for cell in re.findall(r"^\| ([\d., ]+)", told, re.MULTILINE) for number in re.findall(r"[\d.]+\d", cell)
    }
    open_items = {number for line in LINES if line.verdict == "open" for number in numbers(line)}
    assert known <= open_items
    of_the_operator = {"12.1.1", "12.1.2", "12.2.2", "12.3.1", "12.3.4", "13.2.1", "13.2.2", "13.2.5"}
    assert open_items - known == of_the_operator


# --- What is documented is what is done -------------------------------------------------------------


def test_documented_limits_are_those_of_the_code() -> None:
    mebi = 1024 * 1024
    in_code = {
        ("wrong passwords until a lock", "account"): logins.LOCK_AFTER,
        ("API body", "request"): settings.API_MAX_BODY_BYTES // mebi,
        ("events in a list", "request"): settings.API_MAX_EVENTS,
        ("form with its files", "request"): settings.FORM_MAX_BODY_BYTES // mebi,
        ("API tokens in service", "company"): tokens.MOST,
        ("recipients of a payment order", "order"): order_services.MAX_RECIPIENTS,
        ("validity of a payment order", "order"): order_models.MAX_VALIDITY_DAYS,
        ("reports of a problem", "order, hour"): orders_public.PROBLEMS_PER_ORDER,
        ("reports of a problem", "address of the visitor, hour"): orders_public.PROBLEMS_PER_ADDRESS,
        ("answers of a form", "form, 5 minutes"): forms_public.ANSWERS_PER_FORM,
        ("answers of a form", "address of the visitor, hour"): forms_public.ANSWERS_PER_ADDRESS,
        ("fields of a form", "form"): content.MAX_FIELDS,
        ("trials of a rule", "user, 10 minutes"): trials.LIMIT,
        ("calls replayed at once", "company"): call_views.MAX_REPLAY,
        ("calls at a time", "endpoint"): 5,
        ("letter to more addresses than this asks first", "letter"): mass_mail.THRESHOLD,
    }
    told = {(what, of): int(re.match(r"\d+", value)[0]) for what, value, of in table("What comes in")}  # type: ignore[index]
    assert told == in_code
    windows = [orders_public.PROBLEM_WINDOW, forms_public.ADDRESS_WINDOW, forms_public.FORM_WINDOW]
    assert [*windows, trials.WINDOW_SECONDS] == [3600, 3600, 300, 600]
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert "ten wrong passwords in a row lock an account for 15 minutes" in operations
    assert [span / timedelta(minutes=15) for span in (logins.LOCK_FOR, logins.LOCK_LONGEST)] == [1, 96]


def test_documented_sizes_of_files_are_those_of_the_code() -> None:
    told = section("Files")
    assert f"`.csv` of at most {uploads.MAX_CSV // 1024**2} MiB and {uploads.MAX_LINES} lines" in told
    assert (
        f"`.pdf` of at most {uploads.MAX_PDF // 1024**2} MiB, {pdf_guard.MAX_UNPACKED // 1024**2} MiB unpacked" in told
    )


def test_documented_words_are_those_that_passwords_are_judged_by() -> None:
    told = set(re.findall(r"`(\w+)`", section("Words that passwords may not be made of")))
    assert told == set(passwords._EVERYWHERE)


def test_documented_ways_in_are_all_there_are() -> None:
    told = {row[0].strip("`") for row in table("Ways in")}
    names = {str(name) for name in get_resolver().reverse_dict if isinstance(name, str)}
    assert told - {"API"} <= names
    # Who begins a session: the library's log-in and passkey pages, and these.
    beginning = {
        path for path, tree in product().items() for name, _call in calls(tree) if name in ("perform_login", "login")
    }
    assert beginning == {"companies/accounts/views.py"}
    assert {
        path for path, tree in product().items() for name, _ in calls(tree) if name == "perform_passwordless_login"
    } == {"companies/accounts/passkeys.py"}
    # Bearer tokens are read in one place.
    assert importing("ninja.security") == {"notifications/api/auth.py"}


def test_documented_times_of_sessions_are_those_of_the_settings() -> None:
    assert "Two hours idle, twelve in all" in section("Sessions")
    assert (settings.SESSION_IDLE_TIMEOUT, settings.SESSION_COOKIE_AGE) == (2 * 3600, 12 * 3600)


def test_documented_rights_are_those_of_the_code() -> None:
    roles = (Role.VIEWER, Role.MANAGER, Role.ADMINISTRATOR)
    told = {code.strip("`"): (*granted, level) for code, *granted, level in table("Who may what")}
    in_code = {
        code: (
            *("yes" if code in permissions.PERMISSIONS[role] else "–" for role in roles),
            "shop" if code in permissions.SHOP_LEVEL else "company",
        )
        for code in permissions.ALL
    }
    assert told == in_code


def test_documented_cryptography_is_all_there_is() -> None:
    told = set(re.findall(r"`((?:backoffice|companies|notifications|shops)/[\w/]+\.py)`", section("Cryptography")))
    used = importing(
        "hashlib", "hmac", "cryptography", "django.core.signing", "django.contrib.auth.hashers",
        "django.contrib.auth.tokens", "django.utils.crypto",
    )  # fmt: skip
    # The selector knows the mark of an account without password; the model hands passwords on to the framework.
    assert used - told == {"companies/selectors.py"}
    assert {path for path in told if not (ROOT / path).exists()} == set()
    assert told - used <= {"companies/models/users.py", "companies/models/sftp.py"}


def test_documented_connections_are_all_there_are() -> None:
    told = " ".join(" ".join(row) for row in table("Connections"))
    for variable in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "EMAIL_URL"):
        assert f"`{variable}`" in told
    for path in importing("aiohttp", "smtplib"):
        assert f"`{path}`" in told


def test_documented_lines_of_the_log_are_all_there_are() -> None:
    told = {name for row in table("Logs") for name in re.findall(r"`(\w+)`", row[0])}
    written = {
        call.args[0].value
        for tree in product().values()
        for name, call in calls(tree)
        if name in ("debug", "info", "warning", "error", "exception", "critical")
        and re.fullmatch(r"(log|logger)\.\w+", ast.unparse(call.func))
        and isinstance(call.args[0], ast.Constant)
    }
    # These two are of the library that follows requests.
    assert told == written | {"request_finished", "request_failed"}


@pytest.mark.parametrize(
    "title",
    [
        "Decisions", "Ways in", "Sessions", "What comes in", "Files", "Who may what", "Connections", "Cryptography",
        "Classes of data", "Logs", "What costs much", "Requirements of others", "Replacing keys",
        "Personal data and retention",
    ],
)  # fmt: skip
def test_the_security_page_has_what_the_standard_wants_documented(title: str) -> None:
    assert re.search(rf"^##+ {re.escape(title)}$", security(), re.MULTILINE)
    assert title == "Decisions" or len(section(title)) > 200
