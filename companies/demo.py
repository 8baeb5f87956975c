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

from notifications import call_services
from notifications import demo as broadcast_demo
from notifications import services as notification_services
from notifications.consistency_reports import report_run
from notifications.intake import validate_event
from notifications.models import Attempt, Delivery, Event, NotificationRule
from notifications.transports.http import Answer
from shops import services as shop_services
from shops.billing import demo as billing_demo
from shops.dataforms import demo as data_forms_demo
from shops.models import Shop, ShopKey
from shops.orders import demo as orders_demo

from . import demo_accounts, services
from .audit import Actor, written_at
from .models import Company, Contact, User
from .provisioning import provision

REFERENCES = ("maison-lumiere", "atelier-boreal")
PARIS, LYON, ONLINE, TRADE, BOREAL = "10000001", "10000002", "10000003", "10000004", "20000001"
ONLINE_URL = "https://www.lumiere.example/paiement/ipn"
FAILING_ADDRESS = "export@ancien-prestataire.example"
# Log-in → password, in the order in which they are shown.
PASSWORDS = {
    "claire": "demo-claire-2026",
    "paul": "demo-paul-2026",
    "lea": "demo-lea-2026",
    "boreal": "demo-boreal-2026",
    "equipe": "demo-equipe-2026",
}

_FORM_ERROR = {
    "reference": "mail-form-error",
    "type": "merchant_email",
    "label": "E-mail sur formulaire de paiement invalide",
    "triggers": ["form.invalid"],
}
_BUYER = {
    "reference": "buyer-payment",
    "type": "buyer_email",
    "label": "E-mail de confirmation de paiement",
    "triggers": ["payment.accepted"],
    "recipients": [],
}
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
DOCUMENT: dict[str, Any] = {
    "companies": [
        {
            "reference": "maison-lumiere",
            "name": "Maison Lumière SAS",
            "registration_number": "732829320",
            "address": "1 rue de la Paix, 75002 Paris",
            "country": "FR",
            "language": "fr",
            "time_zone": "Europe/Paris",
            "manager_contact": {
                "title": "Mme",
                "first_name": "Claire",
                "last_name": "Morel",
                "email": "claire@lumiere.example",
                "phone": "+33102030405",
            },
            "technical_contact": {
                "title": "M.",
                "first_name": "Hugo",
                "last_name": "Petit",
                "email": "hugo@agence.example",
            },
            "incident_emails": ["astreinte@lumiere.example"],
            "users": [
                {
                    "login": "claire",
                    "email": "claire@lumiere.example",
                    "first_name": "Claire",
                    "last_name": "Morel",
                    "role": "administrator",
                    "shops": "*",
                    "password": PASSWORDS["claire"],
                },
                {
                    "login": "paul",
                    "email": "paul@lumiere.example",
                    "first_name": "Paul",
                    "last_name": "Girard",
                    "role": "manager",
                    "shops": [PARIS, LYON],
                    "password": PASSWORDS["paul"],
                },
                {
                    "login": "lea",
                    "email": "lea@lumiere.example",
                    "first_name": "Léa",
                    "last_name": "Fontaine",
                    "role": "viewer",
                    "shops": "*",
                    "password": PASSWORDS["lea"],
                },
            ],
            "sftp_accounts": [{"login": "lumiere-compta", "email": "compta@lumiere.example"}],
            "shops": [
                {
                    "site_id": PARIS,
                    "name": "Lumière Paris",
                    "url": "https://paris.lumiere.example",
                    "language": "fr",
                    "manager_email": None,
                    "contracts": [{"number": "5785350", "network": "CB", "three_d_secure": False}],
                    "keys": {"production": "DemoCleProdParis"},
                },
                {
                    "site_id": LYON,
                    "name": "Lumière Lyon",
                    "url": "https://lyon.lumiere.example",
                    "language": "fr",
                    "manager_email": "lyon@lumiere.example",
                    "contracts": [{"number": "5785351", "network": "CB", "three_d_secure": True}],
                    "keys": {"production": "DemoCleProdLyon1"},
                    "rules": [
                        {
                            "reference": "mail-payment",
                            "type": "merchant_email",
                            "label": "E-mail de confirmation de paiement",
                            "triggers": ["payment.accepted"],
                        },
                        _BUYER,
                        _FORM_ERROR,
                    ],
                },
                {
                    "site_id": ONLINE,
                    "name": "Lumière en ligne",
                    "url": "https://www.lumiere.example",
                    "language": "fr",
                    "manager_email": None,
                    "contracts": [
                        {"number": "5785352", "network": "CB", "three_d_secure": True},
                        {"number": "9412077", "network": "SEPA", "three_d_secure": False},
                    ],
                    "keys": {"production": "DemoCleProdLigne"},
                    "rules": [
                        {
                            "reference": "ipn-end",
                            "type": "ipn_call",
                            "label": "URL de notification à la fin du paiement",
                            "triggers": ["payment.accepted", "payment.refused"],
                            "recipients": ["@shop_manager", "hugo@agence.example"],
                            "url_test": "https://recette.lumiere.example/paiement/ipn",
                            "url_production": ONLINE_URL,
                            "auto_retry": True,
                        },
                        {
                            "reference": "mail-payment",
                            "type": "merchant_email",
                            "label": "E-mail de confirmation de paiement",
                            "triggers": ["payment.accepted"],
                            "conditions": [{"variable": "amount", "operator": "gt", "value": 10000}],
                            "recipients": [
                                "@shop_manager",
                                "commandes@lumière-boutique.example",
                                "compta+paiements@lumiere.example",
                            ],
                        },
                        {
                            "reference": "mail-deferred-refused",
                            "type": "merchant_email",
                            "label": "E-mail de refus de paiement différé",
                            "triggers": ["transaction.declined_by_batch"],
                            "conditions": [{"variable": "instalments", "operator": "eq", "value": False}],
                            "recipients": ["compta+impayes@lumiere.example", FAILING_ADDRESS],
                        },
                        _BUYER,
                        _FORM_ERROR,
                    ],
                },
                {
                    "site_id": TRADE,
                    "name": "Lumière Pro",
                    "url": "https://pro.lumiere.example",
                    "language": "fr",
                    "manager_email": "pro@lumiere.example",
                    "contracts": [{"number": "5785353", "network": "CB", "three_d_secure": False}],
                    "rules": [
                        {
                            "reference": "ipn-end",
                            "type": "ipn_call",
                            "label": "URL de notification à la fin du paiement",
                            "triggers": ["payment.accepted", "payment.refused"],
                            "url_test": "https://pro.lumiere.example/paiement/ipn-test",
                            "url_production": "https://pro.lumiere.example/paiement/ipn",
                        },
                        {
                            "reference": "mail-payment",
                            "type": "merchant_email",
                            "label": "E-mail de confirmation de paiement",
                            "triggers": ["payment.accepted"],
                        },
                        _FORM_ERROR,
                    ],
                },
            ],
        },
        {
            "reference": "atelier-boreal",
            "name": "Atelier Boréal",
            "registration_number": "1176543210",
            "address": "12 rue Saint-Paul, Montréal",
            "country": "CA",
            "language": "en",
            "time_zone": "America/Toronto",
            "manager_contact": {"first_name": "Nora", "last_name": "Tremblay", "email": "nora@boreal.example"},
            "technical_contact": None,
            "incident_emails": [],
            "users": [
                {
                    "login": "boreal",
                    "email": "nora@boreal.example",
                    "first_name": "Nora",
                    "last_name": "Tremblay",
                    "language": "en",
                    "role": "administrator",
                    "shops": "*",
                    "password": PASSWORDS["boreal"],
                }
            ],
            "shops": [
                {
                    "site_id": BOREAL,
                    "name": "Boréal Online",
                    "url": "https://www.boreal.example",
                    "language": "en",
                    "manager_email": None,
                    "contracts": [{"number": "8800112", "network": "VISA", "three_d_secure": True}],
                }
            ],
        },
    ]
}


def exists() -> bool:
    """True once the demonstration was loaded; it is loaded whole or not at all."""
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

    def settings_changed(self) -> None:
        """What people did in the settings during the month."""
        company = Company.objects.get(reference="maison-lumiere")
        shops = {shop.site_id: shop for shop in Shop.objects.select_related("company")}
        claire, paul = _actor("claire", "192.0.2.17"), _actor("paul", "192.0.2.44")
        with self.at(days=30.4):
            # The manager is told of large baskets by two rules: the page of the rules says so.
            notification_services.rule_create(
                shop=shops[ONLINE],
                actor=claire,
                reference="gros-paniers",
                type="merchant_email",
                label="Gros paniers",
                triggers=["payment.accepted"],
                conditions=[{"variable": "amount", "operator": "gt", "value": 50000}],
                recipients=["@shop_manager", "compta+paiements@lumiere.example"],
            )
            notification_services.rule_create(
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
            notification_services.rule_update(
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
            notification_services.rule_update(rule=_rule(LYON, "buyer-payment"), actor=paul, **_BUYER_CONTENT)
        with self.at(days=12.3):
            notification_services.rule_update(rule=_rule(TRADE, "ipn-end"), actor=claire, recipients=[])
        with self.at(days=8.6):
            services.contact_save(company=company, kind=Contact.Kind.TECHNICAL, actor=claire, phone="+33478000000")
        with self.at(days=5.2):
            shop_services.shop_update(shop=shops[LYON], actor=paul, url="https://lyon.lumiere.example/boutique")
        with self.at(days=2.7):
            services.user_update(user=User.objects.get(login="lea"), actor=claire, last_name="Fontaine-Roux")

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
        """The consistency reports of a morning."""
        for company in Company.objects.filter(reference__in=REFERENCES).order_by("reference"):
            with self.at(days=days) as moment:
                report_run(company=company, actor=Actor.command("consistency_reports"), now=moment)

    def payments(self) -> None:
        """Events of the platform, spread over the month, the last ones a few minutes old."""
        for day in range(30, 0, -1):
            for site_id, chance in ((LYON, 0.6), (ONLINE, 0.9), (PARIS, 0.5), (TRADE, 0.3), (BOREAL, 0.3)):
                if self.chance.random() < chance:
                    self.paid(site_id, day)
            if day % 9 == 4:
                self.event(
                    ONLINE, "transaction.declined_by_batch", day, "PRODUCTION", source="BATCH", instalments=False
                )
            if day % 11 == 3:
                shop = self.chance.choice([PARIS, LYON, BOREAL])
                self.rejected_form(shop, day)
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
            notification_services.accept_event(valid=validate_event(body))

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
        """Every call as it would have gone: one afternoon the online shop's server was down, then recovered.

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
                call_services.record([call_services.Ended(delivery, answer, at)], "demo")
                call_services.publish_due_notices(at)
            delivery.refresh_from_db()
            if delivery.status == Delivery.Status.RETRY and delivery.retry_at:
                heapq.heappush(waiting, (delivery.retry_at, key))
        with self.at():
            call_services.publish_due_notices(self.now)

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
        )
        retried = False
        for delivery in waiting.order_by("event_id", "as_field", "normalised_address"):
            recent = delivery.created_at > self.now - timedelta(hours=2)
            if delivery.address == FAILING_ADDRESS:
                reply = f"5.1.1 <{FAILING_ADDRESS}>: Recipient address rejected: User unknown in virtual mailbox table"
                self.tried(attempts, delivery, Attempt.Outcome.PERMANENT, 550, reply)
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
        Attempt.objects.bulk_create(attempts)

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
    found: int | None = model.objects.order_by("-pk").values_list("pk", flat=True).first()
    return found or 0


def _actor(login: str, ip_address: str) -> Actor:
    user = User.objects.get(login=login)
    return Actor(user.get_full_name(), user, ip_address)


def _rule(site_id: str, reference: str) -> NotificationRule:
    return NotificationRule.objects.select_related("shop__company").get(
        shop__site_id=site_id, reference=reference, archived_at=None
    )
