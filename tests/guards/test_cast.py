"""One cast: companies, shops and users that tests speak of by name stand in tests/cast.py alone.

A test module that needs more of them adds it by a fixture that asks for them and gives nothing.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
CAST = ROOT / "tests" / "cast.py"
GIVEN = {"Company", "Shop", "User"}
MAKERS = {"CompanyFactory", "ShopFactory", "StaffFactory", "UserFactory"}


def fixtures(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and any(
            "pytest.fixture" in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            yield node


def elsewhere() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Each fixture outside the cast, with the path of its file."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path != CAST:
            yield from ((path.relative_to(ROOT).as_posix(), fixture) for fixture in fixtures(path))


def test_no_other_fixture_has_the_name_of_one_of_the_cast() -> None:
    """A reader of `claire: User` need not look whether this file means somebody else."""
    names = {fixture.name for fixture in fixtures(CAST)} | {"cast"}
    assert {"company", "paris", "claire"} <= names
    assert {f"{path}::{fixture.name}" for path, fixture in elsewhere() if fixture.name in names} == set()


def test_no_other_fixture_makes_and_gives_a_company_a_shop_or_a_user() -> None:
    """`administrator` or `maison` would be a second cast under other names."""
    second = set()
    for path, fixture in elsewhere():
        gives = ast.unparse(fixture.returns) if fixture.returns else ""
        called = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(fixture) if isinstance(node, ast.Call)}
        if gives in GIVEN and called & MAKERS:
            second.add(f"{path}::{fixture.name}")
    assert second == set()


def test_the_suite_knows_the_whole_cast() -> None:
    """A fixture of the cast is found by tests once tests/conftest.py imports it."""
    from tests import conftest

    assert {fixture.name for fixture in fixtures(CAST)} <= set(conftest.__all__)
