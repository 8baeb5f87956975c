"""What static files weigh, and how long browsers keep them."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from backoffice.site.static_files import StaticFiles
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
HEAVIEST_PAGE = 120 * 1024  # bytes of styles and scripts on the wire


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder filled by `collectstatic`, once for all tests of this file."""
    folder = tmp_path_factory.mktemp("static")
    from django.test import override_settings

    with override_settings(STATIC_ROOT=str(folder)):
        call_command("collectstatic", interactive=False, verbosity=0)
    return folder


@pytest.fixture
def served(settings: Any, collected: Path) -> Client:
    settings.STATIC_ROOT = str(collected)
    return Client()


def links(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="(/static/[^"]+)"', page)


def test_names_change_with_the_content_and_are_kept_for_ever(served: Client) -> None:
    page = served.get(reverse("account_login")).content.decode()
    assert links(page)
    for link in links(page):
        assert re.search(r"\.[0-9a-f]{12}\.\w+$", link), link
        answer = served.get(link, headers={"accept-encoding": "br, gzip"})
        assert answer.status_code == 200
        assert "immutable" in answer["Cache-Control"]
        assert "max-age=315360000" in answer["Cache-Control"]


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_pages_are_light(served: Client, encoding: str) -> None:
    company = CompanyFactory()
    shop = ShopFactory(company=company)
    rule = NotificationRuleFactory(shop=shop)
    user = UserFactory(company=company)
    served.force_login(user)
    pages = [
        *(reverse(name) for name in ("home", "coverage", "addresses", "journal", "payment_orders", "company_settings")),
        reverse("rule", args=[shop.site_id, rule.reference]),
        reverse("user_edit", args=[user.pk]),
        reverse("data_form", args=[shop.site_id]),
    ]
    weights: dict[str, int] = {}
    for path in pages:
        page = served.get(path, headers={"accept-encoding": encoding}).content.decode()
        named = set(re.findall(r'<(?:link rel="stylesheet"|script)[^>]*?(?:src|href)="(/static/[^"]+)"', page))
        assert named, path
        for link in named - set(weights):
            answer = served.get(link, headers={"accept-encoding": encoding})
            content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
            weights[link] = len(content)
            if len(content) > 1024:
                assert answer["Content-Encoding"] == encoding, link
        assert sum(weights[link] for link in named) <= HEAVIEST_PAGE, {link: weights[link] for link in named}


def test_everything_that_pages_name_is_collected(collected: Path) -> None:
    named = set()
    for template in Path("templates").rglob("*.html"):
        named |= set(re.findall(r"""{% static ["']([^"']+)["'] %}""", template.read_text(encoding="utf-8")))
    assert "backoffice.css" in named
    assert [name for name in sorted(named) if not (collected / name).exists()] == []


def test_a_file_that_has_changed_since_goes_out_as_it_is(collected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = StaticFiles(location=str(collected), base_url="/static/")
    assert storage.url("backoffice.css") != "/static/backoffice.css"
    changed = collected.parent / "changed.css"
    changed.write_text("body { color: red }", encoding="utf-8")
    source = finders.find
    monkeypatch.setattr(finders, "find", lambda name: str(changed) if name == "backoffice.css" else source(name))
    later = StaticFiles(location=str(collected), base_url="/static/")
    assert later.url("backoffice.css") == "/static/backoffice.css"
    assert later.url("working.css") != "/static/working.css"


def test_nothing_collected_is_no_fault(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = str(tmp_path)
    assert staticfiles_storage.url("backoffice.css") == "/static/backoffice.css"
    assert Client().get("/static/backoffice.css").status_code == 200
