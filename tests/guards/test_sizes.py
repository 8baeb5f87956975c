"""No file over 600 lines and no function over 60. Branches, arguments and statements are ruff's (pyproject.toml)."""

import ast
import tomllib
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PRODUCT = ("backoffice", "companies", "shops", "notifications", "tools")
MAX_FILE, MAX_FUNCTION, MAX_TEST_FILE = 600, 60, 700

LIMITS = ("C901", "PLR0913", "PLR0915")
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in PRODUCT
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
}


def test_no_file_is_long() -> None:
    assert {name for name, text in SOURCES.items() if len(text.splitlines()) > MAX_FILE} == set()


def test_no_function_is_long() -> None:
    long = {
        f"{name}::{node.name}"
        for name, text in SOURCES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION
    }
    assert long == set()


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_no_file_of_tests_is_too_long_to_be_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_TEST_FILE


def test_nothing_silences_a_limit_of_size() -> None:
    """What is too long is cut, neither in a list of exceptions nor by a remark."""
    assert {name for name, text in SOURCES.items() if any(code in text for code in LIMITS)} == set()
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    excepted = {place for place, codes in configured["per-file-ignores"].items() if set(codes) & set(LIMITS)}
    assert excepted == {"tests/**"}
