"""Fixtures of tests that make calls to notification URLs for real."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from notifications.events import publishing
from notifications.events.intake import validate_event
from notifications.models import NotificationRule
from shops.models import Shop
from tests.endpoints import Endpoint
from tests.factories import NotificationRuleFactory, ShopKeyFactory
from tests.notifications.outbox.calling import KEY, REST_KEY


@pytest.fixture
def loopback(settings: Any) -> None:
    """Calls may go to this machine, and wait for a minute."""
    settings.IPN_ALLOW_PRIVATE_NETWORKS = True
    settings.IPN_TIMEOUT = 60.0


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An HTTP server that keeps what it is sent."""
    with Endpoint() as server:
        yield server


@pytest.fixture
def lyon_has_keys(lyon: Shop) -> None:
    """Lyon has a key of each kind. Its identifier resembles no transaction, so that either is found for itself."""
    lyon.site_id = "45678912"
    lyon.save()
    for kind, value in (("test", KEY), ("production", KEY), ("rest_test", REST_KEY), ("rest_production", REST_KEY)):
        ShopKeyFactory(shop=lyon, kind=kind, value=value)


@pytest.fixture
def rule(lyon: Shop, endpoint: Endpoint) -> NotificationRule:
    """A rule of Lyon that calls the endpoint."""
    return NotificationRuleFactory(
        ipn=True,
        shop=lyon,
        reference="ipn-end",
        url_test=endpoint.url("/test"),
        url_production=endpoint.url("/ipn"),
    )


@pytest.fixture
def accept(lyon: Shop) -> Callable[..., Any]:
    """A function that accepts an event of the platform, as the API does."""
    count = iter(range(1, 10_000))

    def send(type: str = "payment.accepted", mode: str = "PRODUCTION", **data: Any) -> Any:
        n = next(count)
        body = {
            "id": f"evt-{n}",
            "type": type,
            "site_id": lyon.site_id,
            "mode": mode,
            "occurred_at": "2026-11-23T10:00:00Z",
            "data": {"transaction_id": f"{n:06d}", "amount": 1990, "currency": "EUR", **data},
        }
        return publishing.accept_event(valid=validate_event(body))[1]

    return send
