"""Links are named by their route: a path that is typed twice leads nowhere once it moves."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(settings.BASE_DIR)
# The pages of an error stand on nothing that may have failed, the table of routes included.
BARE = {"error_base.html", "error_500.html"}
TYPED = re.compile(r"""\b(?:href|action|formaction|src|hx-(?:get|post))=["']/[^"']*["']""")
APPS = ("backoffice", "companies", "notifications", "shops")


def first_parts(resolver: URLResolver | URLPattern) -> Iterator[str]:
    """The first part of each path that the site answers."""
    route = str(resolver.pattern)
    if route:
        yield route.split("/")[0]
    elif isinstance(resolver, URLResolver):
        for inner in resolver.url_patterns:
            yield from first_parts(inner)


# The API is asked by its path, and so is what belongs to it; « status » is a word of others too.
PARTS = {part for entry in get_resolver().url_patterns for part in first_parts(entry)} - {"api"}
PATH = re.compile(rf"/({'|'.join(sorted(map(re.escape, PARTS)))})/")


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: path.stem)
def test_no_template_types_a_path(path: Path) -> None:
    if path.name not in BARE:
        assert TYPED.findall(path.read_text(encoding="utf-8")) == []


def texts(source: str) -> Iterator[str]:
    """The texts of a module; a decorator that takes one is where a path of the API is defined."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    defining = {inner for node in functions for decorator in node.decorator_list for inner in ast.walk(decorator)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in defining:
            yield node.value


@pytest.mark.parametrize("app", APPS)
def test_no_module_types_a_path(app: str) -> None:
    typed = {
        (path.relative_to(ROOT).as_posix(), text)
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts and path.name != "urls.py"
        for text in texts(path.read_text(encoding="utf-8"))
        if PATH.match(text)
    }
    assert typed == set()
