"""Scripts and stylesheets: each is used by a page, and no two sheets give one name to two things."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template import TemplateDoesNotExist
from django.template.loader import get_template

ROOT = Path(settings.BASE_DIR)
OURS = {path.name for path in (ROOT / "static").iterdir()}
SOURCES = {
    path.relative_to(ROOT / "templates").as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "templates").rglob("*.html")
}
TEMPLATES = "\n".join(SOURCES.values())
PRODUCT = "\n".join(
    path.read_text(encoding="utf-8")
    for app in ("backoffice", "companies", "shops", "notifications")
    for path in (ROOT / app).rglob("*.py")
)
NAMED = set(re.findall(r"""{% static ["']([^"']+)["'] %}""", TEMPLATES))
# A file of a library → what our pages do with it; one that nothing asks for is only weight.
LIBRARIES = {
    "admin/css/forms.css": r"form-row",
    "bootstrap/css/bootstrap.min.css": r'class="btn btn-primary',
    "django_htmx/htmx-2.min.js": r"\bhx-(get|post)=",
}
OF_LIBRARIES = set(
    re.findall(
        r"\.([A-Za-z_][\w-]*)", Path(finders.find("bootstrap/css/bootstrap.min.css") or "").read_text(encoding="utf-8")
    )
)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_OTHERS = re.compile(r"""{%-? *(?:include|extends) ["']([^"']+)["']""")
_SHEETS = re.compile(r"""{% static ["']([^"']+\.css)["'] %}""")


def rules_of_ours() -> dict[str, str]:
    """The text of each stylesheet, by its name."""
    return {path.name: _COMMENT.sub("", path.read_text(encoding="utf-8")) for path in (ROOT / "static").glob("*.css")}


def parts_of(name: str) -> set[str]:
    """The template and every other one of ours that it is made of."""
    parts: set[str] = set()
    waiting = {name}
    while waiting:
        part = waiting.pop()
        parts.add(part)
        waiting |= {other for other in _OTHERS.findall(SOURCES[part]) if other in SOURCES} - parts
    return parts


def classes_in(source: str) -> set[str]:
    return {
        name
        for value in re.findall(r'class="([^"]*)"', source)
        for name in re.sub(r"{[{%].*?[%}]}", " ", value).split()
    }


def test_each_file_of_ours_is_on_a_page() -> None:
    in_classes = {name for name in OURS if f'"{name}"' in PRODUCT}
    assert OURS - NAMED - in_classes == set()


def test_each_file_that_a_page_names_exists() -> None:
    assert {name for name in NAMED if finders.find(name) is None} == set()


def test_each_template_that_a_template_names_exists() -> None:
    """A page of a rare case would tell only whoever opens it."""
    named = set(_OTHERS.findall(TEMPLATES))
    missing = set()
    for name in named:
        try:
            get_template(name)
        except TemplateDoesNotExist:
            missing.add(name)
    assert named and missing == set()


def test_each_file_of_a_library_has_something_to_do() -> None:
    assert {name for name in NAMED - OURS if name.endswith((".css", ".js"))} == set(LIBRARIES)
    assert {name for name, use in LIBRARIES.items() if not re.search(use, TEMPLATES)} == set()
    # Bootstrap's scripts wake up on these alone; without its scripts they would be dead.
    assert "data-bs-" not in TEMPLATES


def test_a_component_is_defined_in_one_stylesheet() -> None:
    """`.name { … }` in two sheets is one name for two things, whichever page loads both."""
    defined: dict[str, set[str]] = defaultdict(set)
    for sheet, css in rules_of_ours().items():
        for selectors in re.findall(r"([^{}]+){", css):
            for selector in selectors.split(","):
                if bare := re.fullmatch(r"\s*\.([\w-]+)\s*", selector):
                    defined[bare[1]].add(sheet)
    assert {name: sheets for name, sheets in defined.items() if len(sheets) > 1} == {}


@pytest.mark.parametrize("page", sorted(name for name, source in SOURCES.items() if "{% extends" in source))
def test_a_page_loads_a_sheet_that_knows_its_classes(page: str) -> None:
    """A class whose only rules stand in the sheet of other pages does nothing here."""
    sheets: dict[str, set[str]] = defaultdict(set)
    for sheet, css in rules_of_ours().items():
        for name in re.findall(r"\.([A-Za-z_][\w-]*)", css):
            sheets[name].add(sheet)
    # The framework's pages, which those of the team extend, extend this one.
    names = {*parts_of(page), *(["admin/base_site.html"] if page.startswith("admin/") else [])}
    parts = [SOURCES[part] for part in sorted(names)]
    loaded = {sheet for source in parts for sheet in _SHEETS.findall(source)}
    used = {name for source in parts for name in classes_in(source) if name in sheets}
    assert {name: sheets[name] for name in used if not sheets[name] & loaded and name not in OF_LIBRARIES} == {}
