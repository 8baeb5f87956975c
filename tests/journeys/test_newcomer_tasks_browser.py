"""Ten things that somebody comes for who has never seen the product: each in four clicks from home at most.

A task is walked by the words on the page, at the width of a desk and of a phone, in both languages; a click is what one
presses, the button of the menu included. The headline question, whether everything reaches somebody, is one click away
from its proof.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect

from companies.models import Company, User
from shops.models import Shop
from tests.browsing import NARROW, WIDE
from tests.factories import DeliveryFactory, EventFactory, NotificationRuleFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.one_database]

MOST_CLICKS = 4
# What opens the menu, where it is behind a button.
MENU = "menu"


@dataclass(frozen=True)
class Task:
    """What is pressed, step by step, as selectors; and what stands on the page where the task is done.

    Attributes:
        place: the end of the address that one comes to.
        done: a selector of what answers, or of where one types.
    """

    name: str
    steps: tuple[str, ...]
    place: str
    done: str

    def most(self) -> int:
        return 1 if self.name == "is everything reaching somebody" else MOST_CLICKS


def _entry(route: str) -> tuple[str, str]:
    return (MENU, f'#side-menu a[data-place="{route}"]')


def _asked(place: str) -> str:
    """A line of « Vos questions » or « Vous voulez… »."""
    return f'.home-asked a[href="{place}"]'


TASKS = (
    Task("is everything reaching somebody", ("a.standing-verdict",), "/notifications/coverage/", "#gaps"),
    Task(
        "who receives what",
        (_asked("/notifications/addresses/"), 'main a[href*="address=paris%40lumiere.example"]'),
        "/notifications/addresses/",
        "main .lines",
    ),
    Task(
        "why does an address not receive a message",
        (_asked("/notifications/why/"),),
        "/notifications/why/",
        "main [name=address]",
    ),
    Task(
        "what was sent, with its proof",
        (_asked("/notifications/journal/"), "main .rows .col-to a"),
        "/notifications/journal/",
        "main .proof",
    ),
    Task(
        "give a shop an address of its own",
        (*_entry("shops"), 'main a[href="/settings/shops/10000002/configuration/"]'),
        "/configuration/",
        "main [name=manager_email]",
    ),
    Task(
        "replace an address everywhere",
        (_asked("/notifications/addresses/replace/"), 'main a[href*="replace/?address=paris%40lumiere.example"]'),
        "/notifications/addresses/replace/",
        "main [name=new]",
    ),
    Task(
        "be told when payments stop",
        ('.home-asked a[href*="/notification-rules/all/"] >> nth=1', "main .rule-table .rule-name"),
        "/mail-silence/",
        "main [name=enabled]",
    ),
    Task(
        "create a rule",
        (
            *_entry("rules"),
            'main a[href="?shop=10000001"]',
            'main a[href="/settings/notification-rules/create/10000001/"]',
        ),
        "/settings/notification-rules/create/",
        "main [name=triggers]",
    ),
    Task(
        "invite a user",
        (*_entry("users"), 'main a[href="/settings/company/users/new/"]'),
        "/users/new/",
        "main [name=email]",
    ),
    Task(
        "ask for a payment by e-mail or link",
        (*_entry("payment_orders"), 'main a[href^="/payment-orders/new/"]', "main form.panel-box .btn-primary"),
        "/payment-orders/new/",
        "main [name=amount]",
    ),
)
assert len(TASKS) == 10


@pytest.fixture
def world(company: Company, paris: Shop, lyon: Shop) -> None:
    """A company with something sent, a silence rule, and calls whose failures nobody is told of."""
    DeliveryFactory(event=EventFactory(shop=paris), status="sent", address="paris@lumiere.example")
    NotificationRuleFactory(shop=paris, reference="mail-silence", triggers=["payment.silence"])
    NotificationRuleFactory(shop=paris, ipn=True, reference="appel", recipients=[])


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["desk", "phone"])
def test_what_newcomers_come_for_is_few_clicks_away(
    world: None,
    claire: User,
    client_for: Callable[..., Client],
    live_server: Any,
    browser_context: Any,
    page: Any,
    language: str,
    size: dict[str, int],
) -> None:
    User.objects.filter(pk=claire.pk).update(language=language)
    claire.refresh_from_db()
    name = settings.SESSION_COOKIE_NAME
    session = client_for(claire, fresh=True).cookies[name].value
    browser_context.add_cookies([{"name": name, "value": session, "url": live_server.url}])
    page.set_viewport_size(size)
    clicks: dict[str, int] = {}
    for task in TASKS:
        page.goto(live_server.url)
        expect(page.locator("html")).to_have_attribute("lang", language)
        clicks[task.name] = 0
        for step in task.steps:
            if step != MENU:
                page.locator(step).first.click()
            elif size == NARROW:
                page.locator(".menu-button").click()
            else:
                continue
            clicks[task.name] += 1
        expect(page.locator(task.done).first).to_be_visible()
        assert task.place in page.url, task.name
    assert {task.name: clicks[task.name] for task in TASKS if clicks[task.name] > task.most()} == {}
