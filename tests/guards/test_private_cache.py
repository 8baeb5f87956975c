"""What lies in the shared cache and in sessions: nothing of a person in plain."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.test import Client

from backoffice.base import private_cache
from backoffice.base.ratelimit import allow
from notifications.core import templating
from tests.caches import use_database_cache
from tests.factories import NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ROOT = Path(django_settings.BASE_DIR)
PERSON = "claire.secrete@lumiere.example"


@pytest.fixture
def table(settings: Any) -> Callable[[], str]:
    """A function that returns all that the cache's table holds; the cache is that of production without Redis."""
    use_database_cache(settings)

    def read() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT cache_key, value FROM shared_cache")
            return "\n".join(f"{key} {base64.b64decode(value)!r}" for key, value in cursor.fetchall())

    return read


def test_a_preview_lies_in_the_cache_encrypted_and_its_page_still_shows_it(
    table: Callable[[], str], client_for: Callable[..., Client]
) -> None:
    shop = ShopFactory(manager_email=PERSON)
    rule = NotificationRuleFactory(shop=shop, reference="mail")
    client = client_for(UserFactory(company=shop.company))
    url = f"/settings/notification-rules/{shop.site_id}/mail/content/"
    typed = {
        "subject": "Objet-secret-7391",
        "body": "Texte-secret-7391\n\nÉcrivez à %shop_contact%",
        "fields_included": list(templating.DEFAULT_FIELDS[rule.type]),
        "version": str(rule.version),
        "action": "preview",
        "preview_mode": "TEST",
    }
    page = client.post(url, typed, headers={"HX-Request": "true"}).content.decode()
    frame = re.search(r'<iframe[^>]* src="([^"]+)"', page)
    assert frame, page
    held = table()
    assert held and "secret-7391" not in held and PERSON not in held
    shown = client.get(frame[1].replace("&amp;", "&")).content.decode()
    assert "Texte-secret-7391" in shown and PERSON in shown


def test_keys_of_the_cache_name_nobody(table: Callable[[], str]) -> None:
    cache.set(f"allauth:rl:login_failed:{PERSON}", [1.0], 60)
    assert allow("problem", PERSON, limit=3, seconds=60)
    held = table()
    assert held.count("\n") == 1 and PERSON not in held and "lumiere" not in held


def test_failed_log_ins_and_resets_leave_no_address_in_the_cache(table: Callable[[], str], client: Client) -> None:
    user = UserFactory(email=PERSON, login="claire-secrete")
    for login in (PERSON, "claire-secrete", "personne-secrete"):
        client.post("/accounts/login/", {"login": login, "password": "faux"}, REMOTE_ADDR="203.0.113.99")
    client.post("/accounts/password/reset/", {"email": PERSON}, REMOTE_ADDR="203.0.113.99")
    held = table()
    assert held
    for word in (PERSON, "secrete", "203.0.113.99", user.login):
        assert word not in held


def test_a_text_is_read_under_its_own_name_only() -> None:
    private_cache.put("un", "Texte", 60)
    assert private_cache.get("un") == "Texte"
    cache.set("deux", cache.get("un"), 60)
    assert private_cache.get("deux") is None
    assert private_cache.get("trois") is None


def test_whatever_the_product_keeps_in_the_cache_it_keeps_through_one_of_two_doors() -> None:
    """`private_cache` for texts, `ratelimit` and a mark of the log-in for counts: another use is to be looked at."""
    users = {
        str(path.relative_to(ROOT))
        for app in ("backoffice", "companies", "shops", "notifications")
        for path in (ROOT / app).rglob("*.py")
        if re.search(r"from django.core.cache import|caches\[", path.read_text())
    }
    assert users == {
        "backoffice/base/lasting_cache.py",  # what the others write into: two caches behind one name
        "backoffice/base/private_cache.py",
        "backoffice/base/ratelimit.py",
        "companies/accounts/logins.py",
        "notifications/outbox/parts.py",  # tries whether the cache keeps anything: a key of chance, no text
        "shops/bulk/views.py",  # how many shops are saved: two numbers
    }
