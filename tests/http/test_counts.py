"""Numbers and their links agree: every count of the product opens exactly the rows that it counts.

A template marks such a link with `data-count`; a list says with `data-results` how many it has over all pages, or
with `data-sum` that its rows, `data-rows` each, make the sum. A link to part of a page counts in that part.
What folds out (`<details data-count>`) holds its rows itself.
"""

import io
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import Resolver404, resolve
from django.utils import timezone

from companies.models import Company, LoginRecord, MembershipShop, Role, User
from companies.rights import permissions
from notifications.models import Delivery, NotificationRule
from shops.models import Shop
from tests.factories import (
    BillingDocumentFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    UserFactory,
)

# The worker of the demonstration opens connections of its own.
pytestmark = [
    pytest.mark.one_database,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("standard_prices"),
]
ClientFor = Callable[..., Client]
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """The links of a page, its counts, and the results of its lists by the part they stand in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.html = text
        self.links: list[str] = []
        self.counts: list[tuple[int, str]] = []
        # (ids around it, number) of each list.
        self.results: list[tuple[frozenset[str], int]] = []
        # What folds out: the number that its summary says, the place of its rows among `results`.
        self.folds: list[tuple[int, int]] = []
        self._open: list[tuple[str, str, int | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
            if "data-count" in found:
                self.counts.append((int(found["data-count"]), found["href"]))
        about = found.get("data-results-of") or found.get("id", "")
        if "data-results" in found:
            self.results.append((self._around(about), int(found["data-results"])))
        sums = "data-sum" in found or (tag == "details" and "data-count" in found)
        if sums:
            self.results.append((self._around(about), 0))
        if tag == "details" and "data-count" in found:
            self.folds.append((int(found["data-count"]), len(self.results) - 1))
        if tag in VOID:
            return
        place = len(self.results) - 1 if sums else None
        self._open.append((tag, about, place))
        if "data-rows" in found:
            inside = [place for _tag, _about, place in self._open if place is not None]
            if inside:
                around, number = self.results[inside[-1]]
                self.results[inside[-1]] = (around, number + int(found["data-rows"]))

    def handle_endtag(self, tag: str) -> None:
        while any(name == tag for name, _about, _place in self._open):
            if self._open.pop()[0] == tag:
                return

    def _around(self, about: str) -> frozenset[str]:
        return frozenset(filter(None, [*(name for _tag, name, _place in self._open), about]))

    def wrong_folds(self) -> list[str]:
        return [
            f"{number} unfolds {self.results[place][1]} rows"
            for number, place in self.folds
            if self.results[place][1] != number
        ]

    def result(self, part: str) -> int | None:
        """What the first list in a part of the page counts; with no such list, 0 in a part and None on a page."""
        inside = [number for around, number in self.results if not part or part in around]
        if inside:
            return inside[0]
        return 0 if part else None


@pytest.fixture
def demo(settings: Any) -> None:
    settings.DEBUG = True
    call_command("demo", stdout=io.StringIO())
    company = Company.objects.get(reference="maison-lumiere")
    shops = list(Shop.objects.filter(company=company).order_by("site_id"))
    old = timezone.now() - timedelta(days=30)
    for number in range(40):
        event = EventFactory(shop=shops[number % len(shops)])
        extra: dict[str, Any] = {"status": Delivery.Status.SENT}
        if number % 4 == 1:
            extra = {"status": Delivery.Status.NOT_SENT, "channel": "ipn", "error": "NO_URL", "address": ""}
        elif number % 4 == 2:
            extra = {"status": Delivery.Status.DEAD, "address": f"{'x' * (number % 3)}dev@agence.example"}
        elif number % 4 == 3:
            extra = {"status": Delivery.Status.NOT_SENT, "address": "dev@agence.example"}
        found = DeliveryFactory(event=event, **extra)
        if number % 5 == 0:
            Delivery.objects.filter(pk=found.pk).update(created_at=old)
    rules = NotificationRule.objects.filter(shop__company=company, type="ipn_call")
    rules.update(enabled=True, recipients=[])
    # More shops than are named one by one, some without a rule that calls.
    for number in range(8):
        shop = ShopFactory(company=company, name=f"Étal {number}", site_id=f"7777770{number}")
        if number % 2:
            NotificationRuleFactory(shop=shop, type="ipn_call", recipients=[])
    for number in range(7):
        BillingDocumentFactory(
            number=f"F2025-{number:06d}", shop=shops[number % len(shops)], currency="USD" if number % 3 else "EUR"
        )
    _people(company, shops)


def _people(company: Company, shops: list[Shop]) -> None:
    """Accounts with rights of their own, and wrong passwords at one of them."""
    for all_shops in (True, False):
        user = UserFactory(company=company, login=f"a-droits-{'tous' if all_shops else 'choisis'}")
        access = user.memberships.get()
        access.role, access.all_shops = Role.VIEWER, all_shops
        access.save()
        for number, shop in enumerate(shops):
            own = None if number % 2 and not all_shops else permissions.NOTHING
            MembershipShop.objects.update_or_create(membership=access, shop=shop, defaults={"permissions": own})
        for number in range(3 if all_shops else 0):
            LoginRecord.objects.create(user=user, succeeded=bool(number == 2), ip_address="192.0.2.1")


def replay(company: Company) -> str:
    """The page of a replay with calls in each state."""
    run = uuid.uuid4()
    shop = Shop.objects.filter(company=company).order_by("site_id").first()
    states = ["sent", "sent", "dead", "not_sent", "cancelled", "queued"]
    for status in states:
        DeliveryFactory(event=EventFactory(shop=shop), channel="ipn", status=status, run=run, is_manual=True)
    return f"/notifications/replays/{run}/"


def crawled(client: Client, each: int, *first: str) -> dict[str, Page]:
    """The pages that one reaches from home, and from other pages given, at most so many of a route."""
    seen: dict[str, Page] = {}
    waiting, of_route = ["/", *first], Counter[str]()
    while waiting:
        url = waiting.pop(0)
        response = client.get(url)
        if response.status_code != 200 or not response.headers["Content-Type"].startswith("text/html"):
            continue
        page = seen[url] = Page(response.content.decode())
        for link in page.links:
            target = urlsplit(urljoin(url, link))
            if target.scheme or target.netloc or "format=csv" in target.query or target.path.startswith("/admin/"):
                continue
            try:
                route = resolve(target.path).route
            except Resolver404:
                continue
            address = target.path + (f"?{target.query}" if target.query else "")
            if address in seen or address in waiting or of_route[route] >= each:
                continue
            of_route[route] += 1
            waiting.append(address)
    return seen


def test_every_count_opens_exactly_its_rows(demo: None, client_for: ClientFor) -> None:
    wrong = []
    run = replay(Company.objects.get(reference="maison-lumiere"))
    # Each of these counts has to be met, so that the walk does not pass by what it was made for.
    met: set[str] = set()
    for login in ("claire", "paul", "lea", "boreal"):
        client, followed = client_for(User.objects.get(login=login), fresh=True), 0
        pages = crawled(client, 2, *(_with_counts(run) if login == "claire" else ()))
        opened = dict(pages)
        for url, page in pages.items():
            wrong += [f"{login}, {url}: {problem}" for problem in page.wrong_folds()]
            met |= {"folded out"} if page.folds else set()
            for count, link in page.counts:
                met |= {name for name, mark in MARKS.items() if mark in urljoin(url, link)}
                target = urlsplit(urljoin(url, link))
                address = target.path + (f"?{target.query}" if target.query else "")
                if address not in opened:
                    opened[address] = Page(client.get(address).content.decode())
                rows = opened[address].result(target.fragment)
                followed += 1
                if rows != count:
                    wrong.append(f"{login}, {url}: {count} leads to {rows} rows at {link}")
        assert followed > 5, login
    assert not wrong, "\n".join(wrong)
    assert met == {*MARKS, "folded out"}


MARKS = {
    "rights of its own": "?only=own",
    "chosen shops": "?only=named",
    "calls of a replay": "/notifications/replays/",
    "documents of a currency": "currency=USD",
    "lines of a panel": "#lines",
}


def _with_counts(run: str) -> list[str]:
    people = User.objects.filter(login__startswith="a-droits-").values_list("pk", flat=True)
    return [
        run,
        "/billing/",
        "/settings/company/users/?q=a-droits",
        *(f"/settings/company/users/{key}/" for key in people),
    ]


def test_home_counts_what_its_links_open(demo: None, client_for: ClientFor) -> None:
    """« Non envoyés 0 » opened 24 rows, « Envoyés 133 » opened 306, and 7 gaps stood above six bullets."""
    client = client_for(User.objects.get(login="claire"))
    html = client.get("/").content.decode()
    sentence = html.split('class="standing-sentence"')[1].split("</p>")[0]
    asked = [link for _count, link in Page(f"<p {sentence}</p>").counts if "journal" in link]
    assert len(asked) > 2 and all("since=" in link for link in asked), asked
    assert any("status=unsent" in link for link in asked), asked
    # Each bar of the month opens as many rows as it says.
    month = html.split('class="chart-table"')[1].split("</figure>")[0]
    assert month.count("since=") > 10

    gaps = NotificationRule.objects.filter(
        shop__company__reference="maison-lumiere", type="ipn_call", enabled=True, archived_at=None, recipients=[]
    )
    page = client.get("/notifications/addresses/").content.decode()
    bullets = page.split('id="gaps"')[1].split("</section>")[0]
    assert bullets.count("<li data-rows=") == gaps.filter(shop__status="active").count() > 5
