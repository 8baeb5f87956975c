"""Directions of imports: the contracts in `pyproject.toml` name every room, and what is pure asks nothing.

The contracts themselves are checked by import-linter (`make check`).
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "notifications", "shops")


def contracts() -> list[dict[str, Any]]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["tool"]["importlinter"]["contracts"])


PURE: list[str] = next(contract["source_modules"] for contract in contracts() if "pure" in contract["name"])
TOOLS = ("tests", "bench", "tools", "pytest", "factory", "polib", "aiosmtpd", "playwright", "post_office")


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, anywhere in it, as a full dotted name."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def reaches(imported: str, *forbidden: str) -> bool:
    return any(imported == name or imported.startswith(f"{name}.") for name in forbidden)


def test_the_import_reader_sees_every_form_of_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "a" / "b" / "c.py"
    path.parent.mkdir(parents=True)
    path.write_text("import x.y\nfrom . import d\nfrom ..e import f\ndef g():\n    from h import i\n")
    assert list(imports(path)) == ["x.y", "a.b.d", "a.e.f", "h.i"]


def test_every_room_has_its_place_in_the_contract() -> None:
    layers = next(contract["layers"] for contract in contracts() if contract["type"] == "layers")
    listed = [room for layer in layers for room in layer.split(" | ")]
    there = {
        f"{app}.{path.stem}"
        for app in APPS
        for path in (ROOT / app).iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.name != "__init__.py"
    }
    rooms = there - {f"{app}.migrations" for app in APPS}
    assert sorted(listed) == sorted(rooms)


@pytest.mark.parametrize("room", PURE)
def test_what_is_pure_asks_no_database_no_settings_and_no_clock(room: str) -> None:
    asked = ("django.db", "django.conf", "django.core.cache", "django.utils.timezone.now", "time")
    found = set()
    for path in sorted((ROOT / room.replace(".", "/")).rglob("*.py")):
        found |= {f"{path.name} → {name}" for name in imports(path) if reaches(name, *asked)}
        found |= {
            f"{path.name} → {ast.unparse(node.func)}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if node.func.attr in ("now", "today", "utcnow", "localdate")
            or (node.func.attr == "localtime" and not node.args)
        }
    assert found == set()


def test_nothing_of_the_product_imports_tests_or_development_tools() -> None:
    found = {
        f"{path.relative_to(ROOT)} → {name}"
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        for name in imports(path)
        if reaches(name, *TOOLS)
    }
    assert found == set()
