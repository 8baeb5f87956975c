"""One word for one thing: names that a reader meets in an app mean one thing there."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
# The framework asks for the name.
EVERYWHERE = {"Command"}


@pytest.mark.parametrize("app", ["backoffice", "companies", "shops", "notifications", "tools"])
def test_two_classes_of_an_app_do_not_share_a_name(app: str) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / app).rglob("*.py")):
        if "migrations" not in path.parts:
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1 and name not in EVERYWHERE} == {}


@pytest.mark.parametrize("room", ["backoffice", "companies", "shops", "notifications", "tools", "tests"])
def test_what_is_found_is_called_by_what_it_is(room: str) -> None:
    """« found » says how a thing came, not what it is."""
    # What tests share reads like the product; inside a test a name lives for a few lines.
    pattern = "*.py" if room == "tests" else "**/*.py"
    paths = [path for path in sorted((ROOT / room).glob(pattern)) if "migrations" not in path.parts]
    assert paths
    assert [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id == "found") or (isinstance(node, ast.arg) and node.arg == "found")
    ] == []
