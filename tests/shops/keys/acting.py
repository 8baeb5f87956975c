"""What tests of keys share: payments of the test phase, and the pages on which keys are made."""

import re
from collections.abc import Callable
from typing import Any

from django.test import Client

from companies.audit import Actor
from notifications.models import Event
from shops.models import Shop
from tests.factories import (
    PASSWORD,
    EventFactory,
)

ClientFor = Callable[..., Client]
ACTOR = Actor("Claire Morel")


def url(shop: Shop, *rest: str) -> str:
    return "/".join([f"/settings/shops/{shop.site_id}/keys", *rest]) + "/"


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace("&quot;", '"')


def confirmed(client: Client) -> Client:
    """The client after its user gave the password on the page that asks for it."""
    answer = client.post("/accounts/reauthenticate/?next=/account/", {"password": PASSWORD, "next": "/account/"})
    assert answer.status_code == 302 and answer.headers["Location"] == "/account/"
    return client


def played(shop: Shop, kind: str, brand: str = "VISA", **more: Any) -> Event:
    number = Event.objects.count()
    data = {"transaction_id": f"t{number:05d}", "card_brand": brand}
    return EventFactory(shop=shop, type=f"payment.{kind}", mode="TEST", data=data, **more)


def all_tests_played(shop: Shop) -> None:
    for kind in ("accepted", "accepted", "refused", "refused"):
        played(shop, kind)


def generate(client: Client, shop: Shop, name: str = "production", **data: Any) -> Any:
    """Post the confirmation form as its page holds it."""
    seen = client.get(url(shop, name)).context["form"]["seen"].value()
    return client.post(url(shop, name), {"key_format": "ALPHANUMERIC", "seen": seen, **data})


def secret_of(response: Any) -> list[str]:
    return re.findall(r'<code class="secret"[^>]*>([^<]+)</code>', response.content.decode())
