"""The companies, people and screens of the walk through every notification, and what its steps share."""

import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from email.utils import getaddresses
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from django.db import connection
from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from backoffice.text.addresses import normalise
from companies.models import Company, User
from notifications.core.catalogue import BY_CODE
from notifications.models import Delivery
from notifications.settings_facts import company_facts
from notifications.tables.compute import delivery_tables
from notifications.worker import loop
from shops.models import PaymentOrder
from tests.factories import PASSWORD, StaffFactory
from tests.smtp import Received, SmtpServer
from tests.waiting import PATIENCE

PARIS = "30000001"
BUYER = "jeanne@acheteur.example"
# The company reads English, its shop French, so that the language of each mail tells whose it is.
COMPANIES = [
    {
        "reference": "maison-lumiere",
        "name": "Maison Lumière SAS",
        "language": "en",
        "country": "FR",
        "manager_contact": {"first_name": "Claire", "last_name": "Morel", "email": "claire@lumiere.example"},
        "technical_contact": {"first_name": "Hugo", "last_name": "Petit", "email": "hugo@agence.example"},
        "incident_emails": ["astreinte@lumiere.example", "secours@café-lumière.example"],
        "users": [
            {
                "login": "claire",
                "email": "claire.morel@lumiere.example",
                "first_name": "Claire",
                "role": "administrator",
                "shops": "*",
                "password": PASSWORD,
            }
        ],
        "sftp_accounts": [],
        "shops": [
            {
                "site_id": PARIS,
                "name": "Lumière Paris",
                "url": "https://paris.lumiere.example",
                "language": "fr",
                "manager_email": "paris@lumiere.example",
                "contracts": [{"number": "5785350", "network": "CB", "three_d_secure": False}],
            }
        ],
    },
    {
        # Shares an incident address with the first, spelled differently: one message for both.
        "reference": "atelier-boreal",
        "name": "Atelier Boréal",
        "language": "fr",
        "country": "FR",
        "manager_contact": {"first_name": "Nora", "last_name": "Lind", "email": "nora@boreal.example"},
        "incident_emails": ["ASTREINTE@Lumiere.example", "nora@boreal.example"],
        "users": [],
        "sftp_accounts": [],
        "shops": [{"site_id": "30000009", "name": "Boréal", "language": "en", "manager_email": None}],
    },
]


@dataclass(frozen=True)
class Promise:
    """One line of the delivery tables: who is to receive, as what, in which language."""

    address: str
    as_: str
    language: str


@dataclass
class Stage:
    """The cast of a case: windows of a browser, the two companies, the SMTP server, the worker."""

    open_window: Callable[[User | None], Any]
    server: SmtpServer
    url: str
    windows: dict[str, Any] = field(default_factory=dict)

    def window(self, who: str, user: Callable[[], User | None]) -> Any:
        if who not in self.windows:
            self.windows[who] = self.open_window(user())
        return self.windows[who]

    @property
    def merchant(self) -> Any:
        return self.window("merchant", lambda: User.objects.get(login="claire"))

    @property
    def staff(self) -> Any:
        return self.window("staff", lambda: StaffFactory(login="equipe", email="equipe@backoffice.example"))

    @property
    def public(self) -> Any:
        """The window of somebody who is not logged in."""
        return self.window("public", lambda: None)

    def work(self) -> None:
        """Run the worker until there is nothing left to do, in its own thread as in production."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                loop.deliver_until_idle()
            except BaseException as error:  # told to the test below
                failures.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=run, name="worker")
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive() and not failures, failures

    def receive(self) -> list[Received]:
        """What the worker delivers now."""
        self.server.received.clear()
        self.work()
        assert not Delivery.objects.filter(status__in=Delivery.OPEN).exists(), "the worker left something"
        return list(self.server.received)

    def promised(
        self,
        code: str,
        *,
        of: QuerySet[Company] | None = None,
        shop: str | None = None,
        rule: str | None = None,
        account: str | None = None,
    ) -> set[Promise]:
        """The lines of one notification in the delivery tables of these companies (all), as they stand now."""
        found: dict[str, Promise] = {}
        for company in (Company.objects.all() if of is None else of).order_by("pk"):
            facts = company_facts(company)
            shops = {each.site_id: each.language for each in facts.shops}
            accounts = {each.login: each.language for each in (*facts.users, *facts.sftp_accounts)}
            for table in delivery_tables(facts).addresses:
                for line in table.receives:
                    if line.notification != code or (shop and line.shop != shop):
                        continue
                    if (rule and line.rule != rule) or (account and line.account != account):
                        continue
                    language = accounts.get(line.account or "") or shops.get(line.shop or "") or facts.language
                    promise = Promise(normalise(line.address), line.as_, language)
                    found.setdefault(promise.address, promise)
        return set(found.values())

    def check(
        self,
        code: str,
        promised: set[Promise],
        *,
        mode: str = "PRODUCTION",
        reply_to: str = "",
        also: Collection[str] = (),
    ) -> list[Received]:
        """Deliver, compare with the promise, try the links; returns the mails of the notification.

        Args:
            also: codes of notifications that the same action brings besides; anything else fails.
        """
        everything = self.receive()
        codes = {str(mail.message["X-BOM-Notification"]) for mail in everything}
        assert codes <= {code, *also}, codes
        mails = [mail for mail in everything if mail.message["X-BOM-Notification"] == code]
        assert promised, f"the tables promise nobody {code}"
        got = [
            Promise(normalise(mail.rcpt_tos[0]), str(mail.message["X-BOM-As"]), str(mail.message["Content-Language"]))
            for mail in mails
        ]
        assert sorted(map(str, got)) == sorted(map(str, promised))
        for mail in mails:
            self._check_mail(mail, code, promised, mode=mode, reply_to=reply_to)
        return mails

    def _check_mail(self, mail: Received, code: str, promised: set[Promise], *, mode: str, reply_to: str) -> None:
        message = mail.message
        assert len(mail.rcpt_tos) == 1, "one recipient on the envelope"
        for header, as_ in (("To", "to"), ("Cc", "cc")):
            named = {normalise(address) for _name, address in getaddresses([str(message[header] or "")])}
            wanted = {promise.address for promise in promised if promise.as_ == as_}
            if BY_CODE[code].one_message_each:
                wanted = {normalise(mail.rcpt_tos[0])} if as_ == "to" else set()
            assert named == wanted, f"{header} of {code}"
        assert str(message["Reply-To"] or "") == reply_to
        assert message["X-BOM-Mode"] == mode
        assert str(message["Subject"]).startswith("[TEST] ") == (mode == "TEST")
        assert "Back Office Marchand" in str(message["From"]) and message["Auto-Submitted"] == "auto-generated"
        with translation.override(str(message["Content-Language"])):
            foot = _("Voir ce que reçoit chaque adresse")
        assert foot in mail.text and foot in mail.html
        assert "<img" not in mail.html and f'<html lang="{message["Content-Language"]}"' in mail.html
        links = self.links(mail.text)
        assert {found.rstrip("/") for found in re.findall(r'href="([^"]+)"', unescape(mail.html))} <= {
            link.rstrip("/") for link in links
        }
        for link in links:
            assert self.opens(link), link

    def links(self, text: str) -> list[str]:
        """The links of ours in a text, in order, each once."""
        return list(dict.fromkeys(re.findall(rf"{re.escape(self.url)}/\S+", text)))

    def opens(self, link: str) -> bool:
        """Whether a link of a mail leads to a proper page for the one who received it."""
        inside = not urlsplit(link).path.startswith(("/orders/", "/forms/", "/accounts/", "/newsletter/", "/status/"))
        page = self.merchant if inside else self.public
        answer = page.goto(link)
        return bool(
            answer is not None
            and answer.status == 200
            and page.url.split("#")[0].split("?")[0] == link.split("#")[0].split("?")[0]
            and page.locator("h1").first.inner_text().strip()
        )


def save(page: Any, name: str = "Enregistrer") -> None:
    page.locator(".save-bar").get_by_role("button", name=name, exact=True).click()
    page.locator(".messages .notice").first.wait_for()


def prove_identity(page: Any) -> None:
    if "/accounts/reauthenticate/" in page.url:
        page.locator("[name=password]").fill(PASSWORD)
        page.get_by_role("button", name="Confirmer").click()


def create_order(stage: Stage, *, channel: str, mode: str, to: str = "", **boxes: str | bool) -> str:
    """Create a payment order on the merchant's screen; returns the address of the page it leads to."""
    page = stage.merchant
    page.goto(f"/payment-orders/new/?shop={PARIS}&channel={channel}&mode={mode}")
    page.get_by_label("Montant").fill("1 249,90")
    if to:
        page.locator("[name=recipients]").fill(to)
    for name, value in boxes.items():
        control = page.locator(f"[name={name}]")
        control.set_checked(value) if isinstance(value, bool) else control.fill(value)
    page.locator(".save-bar").get_by_role("button", name="Envoyer" if channel == "email" else "Créer le lien").click()
    page.wait_for_url(re.compile(r"/payment-orders/([0-9a-f-]{36}/)?(\?|$)"))
    return str(page.url)


def newest_order() -> PaymentOrder:
    return PaymentOrder.objects.latest("created_at", "pk")


def pay(stage: Stage, result: str = "Paiement accepté") -> None:
    """Play a TEST payment on the buyer's page of a new order, transmitted by link."""
    create_order(stage, channel="url", mode="TEST")
    stage.public.goto(f"/orders/{newest_order().token}/")
    stage.public.get_by_role("button", name=result).click()
