"""While the shared cache is gone, people log in, limits count in the database, and operators are told."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse

from backoffice.base import ratelimit
from backoffice.base.lasting_cache import LastingCache
from companies.models import User
from tests.caches import DATABASE_CACHE, lasting
from tests.ports import free_port

pytestmark = pytest.mark.django_db
PASSWORD = "un-mot-de-passe-tout-neuf"


@pytest.fixture(autouse=True)
def _up() -> Iterator[None]:
    LastingCache._down_until = 0.0
    yield
    LastingCache._down_until = 0.0


@pytest.fixture(params=["a server that is gone", "a table that is gone"])
def gone(request: pytest.FixtureRequest, settings: Any) -> None:
    redis = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"redis://127.0.0.1:{free_port()}/0",
        "OPTIONS": {"socket_connect_timeout": 1.0},
    }
    table = {**DATABASE_CACHE["default"], "LOCATION": "dropped_cache"}
    settings.CACHES = lasting(redis if "server" in request.param else table)


def test_people_log_in_all_the_same(gone: None, claire: User) -> None:
    claire.set_password(PASSWORD)
    claire.save()
    client = Client()
    answer = client.post(reverse("account_login"), {"login": claire.login, "password": PASSWORD})
    assert answer.status_code == 302
    assert client.get("/").status_code == 200


def test_limits_count_in_the_database(gone: None) -> None:
    assert [ratelimit.allow("try", "somebody", limit=2, seconds=3600, clock=lambda: 7200) for _try in range(3)] == [
        True,
        True,
        False,
    ]
    assert ratelimit.once("code", "123456", seconds=60)
    assert not ratelimit.once("code", "123456", seconds=60)
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM spare_cache")
        assert cursor.fetchone()[0] == 3


def test_health_names_the_part(gone: None, client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "scraper"
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert "cache" in answer.content.decode().removeprefix("degraded:").split()
    figures = client.get("/metrics", headers={"authorization": "Bearer scraper"}).content.decode()
    assert 'bom_problem{part="cache"} 1.0' in figures


def test_the_shared_cache_is_used_while_it_works(settings: Any) -> None:
    settings.CACHES = lasting({"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "lasting"})
    cache.set("name", "value", 60)
    assert cache.get("name") == "value" == cache.primary.get("name")
    assert cache.spare.get("name") is None
    assert cache.add("other", 1, 60) and not cache.add("other", 1, 60)
    assert cache.touch("other", 60) and cache.delete("other")
    assert cache.get_many(["name", "other"]) == {"name": "value"}
    cache.clear()
    assert cache.get("name") is None
