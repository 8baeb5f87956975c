"""Documents for people who join: the files they name exist, and every room is named."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

from backoffice.base import limits

ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "shops", "notifications")
TOP = (*APPS, "templates", "static", "tests", "docs", "bench", "locale")
PAGES = ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/rules.md", *(f"{app}/README.md" for app in APPS))
# Folders that hold no code of a subject.
PLUMBING = {"migrations", "management", "templatetags", "formats"}


def named(page: str) -> list[str]:
    """What stands in backquotes and looks like a path."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", text)


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_a_page_names_exist(page: str) -> None:
    paths = [path for path in named(page) if path.split("/")[0] in TOP and "/" in path]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_the_bounds_that_operators_read_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.split("## Bounds of a request")[1].split("\n## ")[0]
    told = {name: int(value) for name, value in re.findall(r"\| `(\w+)` \| (\d+) \|", section)}
    enforced = {name: getattr(limits, name, None) or getattr(settings, name) for name in told}
    assert told == enforced
    counted = {name for name in vars(limits) if name.startswith("MAX_")}
    assert counted <= set(told)


@pytest.mark.parametrize("app", APPS)
def test_files_that_an_apps_page_names_are_in_the_app(app: str) -> None:
    page = f"{app}/README.md"
    files = {path.name for path in (ROOT / app).rglob("*.py")}
    mentioned = [path for path in named(page) if path.endswith(".py") and path.split("/")[0] not in TOP]
    assert [path for path in mentioned if Path(path).name not in files] == []
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.parametrize("app", APPS)
def test_every_room_of_an_app_is_on_its_page_and_on_the_plan(app: str) -> None:
    rooms = {path.parent.name for path in (ROOT / app).glob("*/__init__.py")} - PLUMBING
    page = (ROOT / app / "README.md").read_text(encoding="utf-8")
    plan = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert sorted(room for room in rooms if f"`{room}/`" not in page) == []
    assert sorted(room for room in rooms if not re.search(rf"\b{room}/", plan)) == []


@pytest.mark.parametrize("app", APPS)
def test_every_room_says_what_is_in_it_and_what_it_may_import(app: str) -> None:
    silent = []
    for path in sorted((ROOT / app).glob("*/__init__.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if path.parent.name not in PLUMBING and "May import" not in said:
            silent.append(path.parent.name)
    assert silent == []
