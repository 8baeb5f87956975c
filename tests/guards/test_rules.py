"""docs/rules.md and the code: every pointer leads to a numbered section, and its tables are those of the catalogue."""

import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from notifications.core import catalogue

ROOT = Path(settings.BASE_DIR)
RULES = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
NUMBER = r"\d+b?(?:\.\d+)?"
SECTIONS = set(re.findall(rf"^#{{2,3}} ({NUMBER}) ", RULES, re.MULTILINE))
# « docs/rules.md 4.4 », « docs/rules.md 4.4 and 4.6 », « docs/rules.md 3, 4.5 »
POINTER = re.compile(rf"docs/rules\.md ({NUMBER}(?:(?:,| and) {NUMBER})*)")
# The page that the rules were written from is not part of the repository.
OUTSIDE = "DES" + "IGN"


def texts() -> Iterator[tuple[str, str]]:
    for folder in (
        "backoffice",
        "companies",
        "shops",
        "notifications",
        "templates",
        "static",
        "tests",
        "bench",
        "docs",
    ):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".html", ".txt", ".js", ".css", ".md", ".toml"} and path != Path(__file__):
                yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    for path in (*sorted(ROOT.glob("*.md")), ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".env.example"):
        yield path.name, path.read_text(encoding="utf-8")


def section(number: str) -> str:
    """The text of a section with its parts."""
    text = re.search(rf"^## {number} .*?(?=^## |\Z)", RULES, re.MULTILINE | re.DOTALL)
    assert text is not None, f"docs/rules.md has no section {number}"
    return text[0]


def first_cells(text: str, header: str) -> list[str]:
    """The codes in the first column of the tables whose first column has this title."""
    rows: list[str] = []
    inside = False
    for line in text.splitlines():
        cell = line.split("|")[1].strip() if line.startswith("|") else ""
        if cell == header:
            inside = True
        elif not cell:
            inside = False
        elif inside and not cell.startswith("-"):
            rows.append(cell.strip("`"))
    return rows


def test_every_pointer_leads_to_a_section() -> None:
    pointers = {
        (name, number)
        for name, text in texts()
        for numbers in POINTER.findall(text)
        for number in re.findall(NUMBER, numbers)
    }
    assert len(pointers) > 40
    assert sorted(pointer for pointer in pointers if pointer[1] not in SECTIONS) == []


def test_numbers_of_sections_are_given_once() -> None:
    numbers = re.findall(rf"^#{{2,3}} ({NUMBER}) ", RULES, re.MULTILINE)
    assert len(numbers) == len(set(numbers))
    # A rule keeps its number: the code and other people's notes point to it.
    assert {"2", "3", "4", "4b", "5", "7", "8", *(f"4.{rule}" for rule in range(1, 15))} <= SECTIONS


def test_nothing_points_to_a_page_outside_the_repository() -> None:
    pattern = re.compile(rf"\b{OUTSIDE}\b")
    assert [name for name, text in texts() if pattern.search(text)] == []


def test_the_documented_catalogue_is_that_of_the_code() -> None:
    assert first_cells(section("3"), "code") == [
        *(row.code for row in catalogue.CATALOGUE if row.in_tables),
        *(row.code for row in catalogue.CATALOGUE if not row.in_tables),
    ]


def test_the_documented_triggers_are_those_of_the_code_in_their_order() -> None:
    text = re.sub(r"\s+", " ", section("4b")).split("Conditions compare")[0]
    assert re.findall(r"`([a-z_]+\.[a-z_]+)`", text) == [trigger.code for trigger in catalogue.TRIGGERS]


def test_the_documented_default_rules_are_those_of_the_code() -> None:
    documented = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section("4b").splitlines()
        if line.startswith("| `")
    ]
    assert [
        (cells[0].strip("`"), cells[1].strip("`"), cells[2] == "yes", tuple(re.findall(r"`([^`]+)`", cells[3])))
        for cells in documented
    ] == [(rule.reference, str(rule.type), rule.enabled, rule.triggers) for rule in catalogue.DEFAULT_RULES]
    assert [cells[4] != "–" for cells in documented] == [bool(rule.conditions) for rule in catalogue.DEFAULT_RULES]
