"""« Aide »: the guide of `docs/guide/` inside the product, opened at the section of the page one is on.

The files are the one source of both the documents and the pages.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from backoffice.site import menu
from backoffice.text import marked
from companies.rights import access

FOLDER = Path(settings.BASE_DIR) / "docs" / "guide"
PICTURES = FOLDER / "pictures"
LANGUAGES = ("fr", "en")
# Sections of no page of the menu.
BESIDE = ("search",)


@dataclass(frozen=True)
class SectionLink:
    """The way to one section: of the page of the menu with this route, or of BESIDE."""

    name: str
    title: str
    path: str


def help_path(route: str) -> str:
    """The section of a page of the menu; the beginning of the guide where it has none."""
    return reverse("help_section", args=[route]) if route else reverse("help")


@login_required
@require_safe
def section(request: HttpRequest, name: str = "home") -> HttpResponse:
    """One section, with the way to the others."""
    if name not in (*routes(), *BESIDE):
        raise Http404
    text = _text(_language(), name)
    membership = access.current_membership(request)
    entry = next((entry for part in menu.MENU for entry in part.entries if entry.route == name), None)
    context = {
        "title": marked.title_of(text),
        "body": marked.to_html(text, link=_link, picture=_picture),
        "sections": [SectionLink(one, marked.title_of(_text(_language(), one)), help_path(one)) for one in _names()],
        "name": name,
        "page": entry if entry and membership and entry.is_open_to(membership) else None,
    }
    return render(request, "site/guide.html", context)


def routes() -> list[str]:
    """The pages of the menu, in its order."""
    return [entry.route for part in menu.MENU for entry in part.entries]


def _names() -> list[str]:
    first, *others = routes()
    return [first, *BESIDE, *others]


def _language() -> str:
    language = translation.get_language() or ""
    return language if language in LANGUAGES else LANGUAGES[0]


@lru_cache(maxsize=128)
def _text(language: str, name: str) -> str:
    return (FOLDER / language / f"{name}.md").read_text(encoding="utf-8")


def _link(target: str) -> str | None:
    """Where a link of a section leads: to another section, or out of the guide by its whole address."""
    name = target.removesuffix(".md")
    if name in (*routes(), *BESIDE):
        return help_path(name)
    return target if target.startswith("https://") else None


def _picture(target: str, words: str) -> SafeString:
    """A picture with its size, so that nothing moves when it arrives; its words alone until it was taken."""
    path = PICTURES / Path(target).name
    if not path.exists():
        return format_html('<p class="muted">{}</p>', words)
    width, height = size_of(path)
    return format_html(
        '<figure class="guide-picture"><img src="{}" alt="{}" width="{}" height="{}" loading="lazy"></figure>',
        static(f"guide/{path.name}"),
        words,
        width,
        height,
    )


@lru_cache(maxsize=64)
def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a PNG file, from its header."""
    with path.open("rb") as file:
        width, height = struct.unpack(">II", file.read(24)[16:24])
    return width, height
