"""The guide: a section for each page of the menu in both languages, its pictures, and « Aide » that opens it there."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from backoffice.site import guide, menu
from backoffice.text import marked
from companies.models import User
from shops.models import Shop
from tools.guide import HEAVIEST, LANGUAGES, PAGES

SECTIONS = [(language, name) for language in guide.LANGUAGES for name in (*guide.routes(), *guide.BESIDE)]


def text_of(language: str, name: str) -> str:
    return (guide.FOLDER / language / f"{name}.md").read_text(encoding="utf-8")


def test_every_page_of_the_menu_has_a_section_in_both_languages_and_no_other_is_there() -> None:
    there = {(path.parent.name, path.stem) for path in guide.FOLDER.glob("*/*.md")}
    assert there == set(SECTIONS)
    for language, name in SECTIONS:
        text = text_of(language, name)
        assert text.startswith("# "), name
        assert len(text) > 250, f"{name} says something"
    assert all(_shape("fr", name) == _shape("en", name) for name in (*guide.routes(), *guide.BESIDE)), (
        "the same in both"
    )


def _shape(language: str, name: str) -> list[str]:
    return [line[:2] for line in text_of(language, name).splitlines() if line.startswith(("#", "-", "!"))]


def test_every_picture_that_a_section_names_is_taken_and_light() -> None:
    named = {picture for section in SECTIONS for picture in re.findall(r"pictures/([\w.-]+)\)", text_of(*section))}
    assert named == {f"{name}-{language}.png" for name in PAGES for language in LANGUAGES}, "what `make guide` takes"
    for picture in named:
        path = guide.PICTURES / picture
        assert path.stat().st_size <= HEAVIEST, picture
        assert guide.size_of(path)[0] == 1280


def test_links_lead_to_other_sections() -> None:
    for section in SECTIONS:
        for target in re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", text_of(*section)):
            assert target.endswith(".md")
            assert (section[0], target.removesuffix(".md")) in SECTIONS, section


@pytest.mark.django_db
def test_help_opens_the_section_of_the_page_one_is_on(
    claire: User, paris: Shop, client_for: Callable[..., Client]
) -> None:
    client = client_for(claire)
    pages = {
        reverse("journal"): "journal",
        reverse("shop_configuration", args=[paris.site_id]): "shops",
        reverse("account"): "",
    }
    for page, name in pages.items():
        link = re.search(r'class="help-link" href="([^"]+)"', client.get(page).content.decode())
        assert link is not None
        assert link[1] == guide.help_path(name)
        assert client.get(link[1]).status_code == 200
    assert client.get(reverse("help_section", args=["inconnu"])).status_code == 404


@pytest.mark.django_db
def test_each_section_opens_in_both_languages(claire: User, client_for: Callable[..., Client]) -> None:
    client = client_for(claire)
    page = client.get(reverse("help_section", args=["journal"])).content.decode()
    assert "<h2>Trouver un envoi</h2>" in page
    assert re.search(r'<img src="/static/guide/journal-fr[^"]*\.png" alt="[^"]+" width="1280" height="\d+"', page)
    assert f'href="{reverse("journal")}">Ouvrir la page' in page
    User.objects.filter(pk=claire.pk).update(language="en")
    for section in menu.MENU:
        for entry in section.entries:
            page = client.get(guide.help_path(entry.route)).content.decode()
            assert marked.title_of(text_of("en", entry.route)).replace("'", "&#x27;") in page


def test_nothing_of_a_file_is_taken_for_html() -> None:
    text = '# T\n\n<script>alert(1)</script> **a<b** `<i>` [x](javascript:alert) [y](https://a.example/?q="z)\n\n- a\n- b\n  c'
    shown = marked.to_html(
        text, link=lambda target: target if target.startswith("https") else None, picture=lambda a, b: ""
    )
    assert shown == (
        "<p>&lt;script&gt;alert(1)&lt;/script&gt; <strong>a&lt;b</strong> <kbd>&lt;i&gt;</kbd> x "
        '<a href="https://a.example/?q=&quot;z">y</a></p>\n<ul><li>a</li><li>b c</li></ul>'
    )
