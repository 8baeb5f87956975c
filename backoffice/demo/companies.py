"""A believable merchant with a month of history, for visitors and for development.

Everything is made by provisioning and the services, then moved back in time; nothing here is used
by the product itself. Addresses end in `.example`, which belongs to nobody.
"""

import heapq
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from backoffice.demo import accounts as demo_accounts
from backoffice.demo import billing as billing_demo
from backoffice.demo import broadcasts as broadcast_demo
from backoffice.demo import data_forms as data_forms_demo
from backoffice.demo import health as health_demo
from backoffice.demo import orders as orders_demo
from backoffice.demo.document import (
    BOREAL,
    DOCUMENT,
    FAILING_ADDRESS,
    LYON,
    ONLINE,
    ONLINE_URL,
    PARIS,
    PASSWORDS,
    REFERENCES,
    TRADE,
)
from backoffice.provisioning.applying import provision
from companies import services
from companies.audit import Actor, written_at
from companies.models import Company, Contact, User
from companies.team import services as team_services
from notifications.calls.door import Answer
from notifications.consistency.reports import report_run
from notifications.events import publishing
from notifications.events.intake import validate_event
from notifications.models import Attempt, Delivery, Event, NotificationRule, RecordedSetting
from notifications.outbox import call_results
from notifications.rules import services as rule_services
from shops import services as shop_services
from shops.models import Shop, ShopKey

# What the shop in Lyon writes to its buyers instead of the default text.
_BUYER_CONTENT: dict[str, Any] = {
    "email_texts": {
        "fr": {
            "subject": "Merci pour votre commande %order_id% chez %shop_name%",
            "body": (
                "Merci, votre paiement de %amount% est bien arrivé !\n\n"
                "Nous préparons votre commande ; elle quitte l'atelier sous deux jours ouvrés.\n\n"
                "%fields%\n\n"
                "Une question, un changement d'adresse ? Écrivez-nous : %shop_contact%.\n\n"
                "L'équipe de %shop_name%\n%shop_url%"
            ),
        }
    },
    "email_fields": ["order_id", "date", "amount", "payment_method"],
}
# Payment forms that the platform refused: error, and fields of the form beside the usual ones.
_FORM_ERRORS: tuple[tuple[str, dict[str, str]], ...] = (
    ("INVALID_SIGNATURE", {"signature": "c0ffee"}),
    ("vads_amount: INVALID_FORMAT", {"vads_amount": "19,90"}),
    ("vads_trans_date: EXPIRED", {"vads_trans_date": "20260101000000"}),
)


def exists() -> bool:
    """True if the demonstration was loaded; loading is one transaction."""
    return Company.objects.filter(reference__in=REFERENCES).exists()


def others_exist() -> bool:
    """True when the database holds companies that are not the demonstration's."""
    return Company.objects.exclude(reference__in=REFERENCES).exists()


@transaction.atomic
def load(now: datetime | None = None) -> None:
    """Create the companies, their accounts and a month of history that ends at `now`."""
    _Story(now or timezone.now()).tell()


@dataclass
class _Story:
    now: datetime
    # Fixed seed: the same month on every machine.
    chance: random.Random = field(default_factory=lambda: random.Random(20261123))
    numbered: int = 0

    def tell(self) -> None:
        with self.at(days=31):
            provision(DOCUMENT, notify=True)
            User.objects.create_superuser(
                "equipe", "equipe@backoffice.example", PASSWORDS["equipe"], first_name="Équipe", last_name="plateforme"
            )
        self.checked(days=30.6)
        health_demo.tell(self.at, _actor("claire", "192.0.2.17"))
        self.settings_changed()
        demo_accounts.tell(self.at, _actor("claire", "192.0.2.17"))
        self.checked(days=18.3)
        self.payments()
        self.tests_of_the_new_shop()
        self.payment_orders()
        self.data_forms()
        self.calls()
        # With --force beside real companies: an incident would be mailed to them all.
        if not others_exist():
            broadcast_demo.tell(self.at, REFERENCES)
        self.shape()
        self.billing()
        # After the ends of the month's mail are known: refused mail is one of the findings.
        self.checked(days=0.2)

    @contextmanager
    def at(self, days: float = 0, minutes: float = 0) -> Iterator[datetime]:
        """Move what the block writes to that long before now: history, events, deliveries."""
        moment = self.now - timedelta(days=days, minutes=minutes)
        events = _last(Event)
        with written_at(moment):
            yield moment
        Event.objects.filter(pk__gt=events).update(accepted_at=moment)
        Event.objects.filter(pk__gt=events, external=False).update(occurred_at=moment)
        Delivery.objects.filter(event__pk__gt=events).update(created_at=moment)
        for model in (Company, Shop, NotificationRule):
            model._default_manager.filter(created_at__gte=self.now).update(created_at=moment, updated_at=moment)
        new_keys = ShopKey.objects.filter(changed_at__gte=self.now)
        # The shop still in its test phase has not looked at its test key yet.
        new_keys.exclude(shop__site_id=TRADE).update(changed_at=moment, shown_at=moment)
        new_keys.update(changed_at=moment)
        NotificationRule.objects.filter(emptied_at__gte=self.now).update(emptied_at=moment)
        User.objects.filter(date_joined__gte=self.now).update(date_joined=moment)
        RecordedSetting.objects.filter(since__gte=self.now).update(since=moment)
        RecordedSetting.objects.filter(until__gte=self.now).update(until=moment)

    def settings_changed(self) -> None:
        """What people did in the settings during the month."""
        company = Company.objects.get(reference="maison-lumiere")
        shops = {shop.site_id: shop for shop in Shop.objects.select_related("company")}
        claire, paul = _actor("claire", "192.0.2.17"), _actor("paul", "192.0.2.44")
        with self.at(days=30.4):
            # The manager is told of large baskets by two rules: the page of the rules says so.
            rule_services.rule_create(
                shop=shops[ONLINE],
                actor=claire,
                reference="gros-paniers",
                type="merchant_email",
                label="Gros paniers",
                triggers=["payment.accepted"],
                conditions=[{"variable": "amount", "operator": "gt", "value": 50000}],
                recipients=["@shop_manager", "compta+paiements@lumiere.example"],
            )
            rule_services.rule_create(
                shop=shops[PARIS],
                actor=paul,
                reference="notification-dun-ordre-de-paiement",
                type="merchant_email",
                label="Notification d'un ordre de paiement",
                triggers=["payment.accepted", "payment.refused"],
                conditions=[{"variable": "source", "operator": "in", "value": ["PAYMENT_ORDER"]}],
            )
        with self.at(days=27.2):
            shop_services.contract_save(
                shop=shops[PARIS], actor=claire, number="5785350", network="CB", three_d_secure=True
            )
        with self.at(days=24.1):
            rule_services.rule_update(
                rule=_rule(PARIS, "mail-payment"),
                actor=paul,
                enabled=True,
                conditions=[{"variable": "amount", "operator": "gt", "value": 50000}],
            )
        with self.at(days=19.4):
            services.company_update(
                company=company,
                actor=claire,
                incident_emails=["astreinte@lumiere.example", "Claire@Lumiere.example", "exploitation@agence.example"],
            )
        with self.at(days=16.8):
            rule_services.rule_update(rule=_rule(LYON, "buyer-payment"), actor=paul, **_BUYER_CONTENT)
        health_demo.watch(self.at, shops[ONLINE], claire)
        with self.at(days=12.3):
            rule_services.rule_update(rule=_rule(TRADE, "ipn-end"), actor=claire, recipients=[])
        with self.at(days=8.6):
            services.contact_save(company=company, kind=Contact.Kind.TECHNICAL, actor=claire, phone="+33478000000")
        with self.at(days=5.2):
            shop_services.shop_update(shop=shops[LYON], actor=paul, url="https://lyon.lumiere.example/boutique")
        with self.at(days=2.7):
            team_services.user_update(user=User.objects.get(login="lea"), actor=claire, last_name="Fontaine-Roux")

    def billing(self) -> None:
        """Last, so that the events of the period are there; the mails of it have their ends like the others."""
        shops = {shop.site_id: shop for shop in Shop.objects.select_related("company")}
        billing_demo.tell(
            at=self.at,
            now=self.now,
            staff=_actor("equipe", "192.0.2.5"),
            shops={"online": shops[ONLINE], "lyon": shops[LYON], "boreal": shops[BOREAL]},
        )
        self.shape()

    def checked(self, days: float) -> None:
        """Run the consistency reports of one morning."""
        for company in Company.objects.filter(reference__in=REFERENCES).order_by("reference"):
            with self.at(days=days) as moment:
                report_run(company=company, actor=Actor.command("consistency_reports"), now=moment)

    def payments(self) -> None:
        """Events of the platform, spread over the month, the last ones a few minutes old."""
        for day in range(30, 0, -1):
            if day == health_demo.DAILY_SINCE:
                health_demo.collect(self.at, _rule(LYON, "mail-payment"), _actor("claire", "192.0.2.17"))
            for site_id, chance in ((LYON, 0.6), (ONLINE, 0.9), (PARIS, 0.5), (TRADE, 0.3), (BOREAL, 0.3)):
                if self.chance.random() < chance:
                    self.paid(site_id, day)
            if day % 9 == 4:
                self.event(
                    ONLINE, "transaction.declined_by_batch", day, "PRODUCTION", source="BATCH", instalments=False
                )
                # Its end decides who gets the next one.
                self.shape()
            if day % 11 == 3:
                shop = self.chance.choice([PARIS, LYON, BOREAL])
                self.rejected_form(shop, day)
            health_demo.close_digests(self.at, self.now, day)
        self.paid(ONLINE, 0.02)
        self.paid(LYON, 0.002)

    def tests_of_the_new_shop(self) -> None:
        """The shop in its test phase has played three of the four payments."""
        for hours, kind, brand in (
            (50, "payment.accepted", "VISA"),
            (49, "payment.refused", "VISA"),
            (26, "payment.accepted", "MASTERCARD"),
        ):
            self.event(TRADE, kind, hours / 24, "TEST", amount=1990, currency="EUR", source="FORM", card_brand=brand)

    def paid(self, site_id: str, days: float) -> None:
        mode = "TEST" if site_id == TRADE or self.chance.random() < 0.12 else "PRODUCTION"
        buyers = ("jeanne.roy@acheteur.example", "m.lopez@acheteur.example", "karim.b@acheteur.example")
        buyer = {} if self.chance.random() < 0.15 else {"buyer_email": self.chance.choice(buyers)}
        currency = "CAD" if site_id == BOREAL else "EUR"
        amount = self.chance.choice([1990, 4550, 12900, 25900, 64900, 118000])
        told = {"amount": amount, "currency": currency, "source": "FORM", "card_brand": "CB", **buyer}
        self.event(site_id, "payment.accepted", days, mode, **told)

    def rejected_form(self, site_id: str, days: float) -> None:
        mode = self.chance.choice(["TEST", "PRODUCTION"])
        error, fields = self.chance.choice(_FORM_ERRORS)
        form = {
            "vads_site_id": site_id,
            "vads_ctx_mode": mode,
            "vads_action_mode": "INTERACTIVE",
            "vads_page_action": "PAYMENT",
            "vads_amount": "4550",
            "vads_currency": "978",
            "vads_cust_email": "m.lopez@acheteur.example",
            **fields,
        }
        self.event(site_id, "form.invalid", days, mode, error=error, form=form)

    def event(self, site_id: str, kind: str, days: float, mode: str, **data: Any) -> None:
        self.numbered += 1
        minutes = self.chance.randint(0, 600) if days >= 1 else 0
        with self.at(days=days, minutes=minutes) as moment:
            body = {
                "id": f"demo-{self.numbered:04d}",
                "type": kind,
                "site_id": site_id,
                "mode": mode,
                "occurred_at": moment.isoformat(),
                "data": {
                    "transaction_id": f"{self.chance.randrange(36**6):06x}"[:6],
                    "order_id": f"CMD-{26000 + self.numbered}",
                    **data,
                },
            }
            publishing.accept_event(valid=validate_event(body))

    def payment_orders(self) -> None:
        shops = {shop.site_id: shop for shop in Shop.objects.select_related("company")}
        orders_demo.tell(
            at=self.at,
            now=self.now,
            claire=_actor("claire", "192.0.2.17"),
            paul=_actor("paul", "192.0.2.44"),
            shops={"paris": shops[PARIS], "lyon": shops[LYON], "online": shops[ONLINE], "boreal": shops[BOREAL]},
            failing=FAILING_ADDRESS,
        )

    def data_forms(self) -> None:
        shops = {shop.site_id: shop for shop in Shop.objects.select_related("company")}
        data_forms_demo.tell(
            at=self.at,
            claire=_actor("claire", "192.0.2.17"),
            staff=_actor("equipe", "192.0.2.200"),
            shops={"paris": shops[PARIS], "trade": shops[TRADE], "boreal": shops[BOREAL]},
        )

    def calls(self) -> None:
        """Record every call as it would have been made: one afternoon the online shop's server is down, then it
        recovers.

        None is made for real; the domains of the demonstration exist nowhere.
        """
        rows = Delivery.objects.select_related("event", "shop", "rule", "company")
        due = rows.filter(channel="ipn", status=Delivery.Status.QUEUED, event__company__reference__in=REFERENCES)
        down = self.now - timedelta(days=6, hours=3)
        waiting = [(delivery.created_at, delivery.pk) for delivery in due]
        heapq.heapify(waiting)
        while waiting:
            at, key = heapq.heappop(waiting)
            if at > self.now:
                continue
            at += timedelta(seconds=1)
            Delivery.objects.filter(pk=key).update(status=Delivery.Status.SENDING, lease_owner="demo")
            delivery = rows.get(pk=key)
            is_down = delivery.address == ONLINE_URL and down <= at <= down + timedelta(days=1, hours=2)
            answer = (
                Answer("", 503, "Service Unavailable", "", "", self.chance.randint(20, 90), "HTTP 503")
                if is_down
                else Answer("", 200, "OK", "", "", self.chance.randint(60, 640), "")
            )
            with self.at(days=(self.now - at) / timedelta(days=1)):
                call_results.record([call_results.Ended(delivery, answer, at)], "demo")
                call_results.publish_due_notices(at)
            delivery.refresh_from_db()
            if delivery.status == Delivery.Status.RETRY and delivery.retry_at:
                heapq.heappush(waiting, (delivery.retry_at, key))
        with self.at():
            call_results.publish_due_notices(self.now)

    def shape(self) -> None:
        """Give each delivery older than a quarter of an hour the end it would have had.

        The newest ones stay queued: they go out for real, through the configured mail backend.
        """
        attempts: list[Attempt] = []
        waiting = Delivery.objects.filter(
            event__company__reference__in=REFERENCES,
            channel="email",
            status=Delivery.Status.QUEUED,
            created_at__lt=self.now - timedelta(minutes=15),
            # What a digest tells follows the digest.
            digest_at=None,
            carried_by=None,
        )
        ends: list[tuple[Delivery, Attempt]] = []
        retried = False
        for delivery in waiting.order_by("event_id", "as_field", "normalised_address"):
            recent = delivery.created_at > self.now - timedelta(hours=2)
            if self.is_refused(delivery):
                reply = health_demo.REFUSALS[delivery.address]
                ends.append((delivery, self.tried(attempts, delivery, Attempt.Outcome.PERMANENT, 550, reply)))
                delivery.status, delivery.error = Delivery.Status.DEAD, f"550 {reply}"
            elif recent and not retried:
                retried = True
                reply = "4.7.1 Greylisting in action, please come back later"
                self.tried(attempts, delivery, Attempt.Outcome.TRANSIENT, 451, reply)
                delivery.status, delivery.error = Delivery.Status.RETRY, f"451 {reply}"
                delivery.retry_at = self.now + timedelta(minutes=25)
            else:
                if self.chance.random() < 0.07:
                    reply = "4.7.1 Greylisting in action, please come back later"
                    self.tried(attempts, delivery, Attempt.Outcome.TRANSIENT, 451, reply)
                reply = f"2.0.0 Ok: queued as {self.chance.randrange(16**10):010X}"
                last = self.tried(attempts, delivery, Attempt.Outcome.SENT, 250, reply)
                delivery.status = Delivery.Status.SENT
                delivery.sent_at = last.started_at + timedelta(milliseconds=last.duration_ms)
            delivery.save(update_fields=["status", "error", "retry_at", "sent_at", "attempt_count"])
            health_demo.let_follow(delivery)
        Attempt.objects.bulk_create(attempts)
        for delivery, attempt in ends:
            health_demo.refused(self.at, self.now, delivery, attempt)

    def is_refused(self, delivery: Delivery) -> bool:
        full_since = self.now - health_demo.FULL_SINCE
        return delivery.address == FAILING_ADDRESS or (
            delivery.address == health_demo.FULL_ADDRESS and delivery.created_at > full_since
        )

    def tried(self, attempts: list[Attempt], delivery: Delivery, outcome: str, code: int, reply: str) -> Attempt:
        delivery.attempt_count += 1
        wait = timedelta(seconds=1 if delivery.attempt_count == 1 else 62, milliseconds=self.chance.randrange(900))
        attempt = Attempt(
            delivery=delivery,
            number=delivery.attempt_count,
            started_at=delivery.created_at + wait,
            duration_ms=self.chance.randint(35, 420),
            outcome=outcome,
            code=code,
            reply=reply,
            queue_id=reply.rpartition(" ")[2] if outcome == Attempt.Outcome.SENT else "",
        )
        attempts.append(attempt)
        return attempt


def _last(model: Any) -> int:
    newest: int | None = model.objects.order_by("-pk").values_list("pk", flat=True).first()
    return newest or 0


def _actor(login: str, ip_address: str) -> Actor:
    user = User.objects.get(login=login)
    return Actor(user.get_full_name(), user, ip_address)


def _rule(site_id: str, reference: str) -> NotificationRule:
    return NotificationRule.objects.select_related("shop__company").get(
        shop__site_id=site_id, reference=reference, archived_at=None
    )
