"""Payment orders of the demonstration: one of each kind, created by the services, then moved back in time."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from companies.audit import Actor
from notifications.events.intake import validate_event
from notifications.events.publishing import accept_event
from shops.models import PaymentOrder, PaymentOrderEntry, Shop, end_of_day
from shops.orders import services

At = Callable[..., AbstractContextManager[datetime]]


@dataclass(frozen=True)
class _OrderStory:
    """How orders are created and acted upon in the past (see `tell`)."""

    at: At
    shops: dict[str, Shop]

    def create(self, days: float, shop: str, actor: Actor, *, valid_days: int = 30, **fields: Any) -> PaymentOrder:
        values = {"mode": "PRODUCTION", "channel": "email", "currency": "EUR", **fields}
        new = services.NewOrder(**values)
        with self.at(days=days) as moment:
            order = services.payment_order_create(shop=self.shops[shop], actor=actor, new=new)[0]
        # The service takes today's dates only; the demonstration has a past.
        zone = order.shop.company.time_zone
        last_day = timezone.localtime(moment).date() + timedelta(days=valid_days)
        PaymentOrder.objects.filter(pk=order.pk).update(
            created_at=moment, valid_until=last_day, expires_at=end_of_day(last_day, zone)
        )
        PaymentOrderEntry.objects.filter(order=order).update(at=moment)
        order.refresh_from_db()
        return order

    def later(self, order: PaymentOrder, days: float, act: Callable[[], Any]) -> None:
        known = set(order.entries.values_list("pk", flat=True))
        with self.at(days=days) as moment:
            act()
        order.entries.exclude(pk__in=known).update(at=moment)


def tell(*, at: At, now: datetime, claire: Actor, paul: Actor, shops: dict[str, Shop], failing: str) -> None:
    """Create the orders.

    Args:
        at: moves what its block writes of history, events and deliveries to that long before `now`.
        shops: by the names paris, lyon, online, boreal.
        failing: an address whose mails fail in the demonstration.
    """
    story = _OrderStory(at, shops)
    _templates(shops["paris"], claire)
    _paid(story, claire)
    _from_paris(story, now, claire, paul)
    _from_lyon(story, now, paul)
    _tests(story, claire)
    story.create(4, "online", claire, amount=5900, reference="SAV-2231", recipients=[failing])
    story.create(
        2, "boreal", claire, amount=18000, currency="CAD", reference="BOREAL-12", recipients=["sam@customer.example"],
        language="en",
    )  # fmt: skip


def _templates(shop: Shop, actor: Actor) -> None:
    services.order_template_save(
        shop=shop,
        actor=actor,
        language="fr",
        name="Commande spéciale",
        subject="Votre commande spéciale chez %shop_name%",
        body=(
            "Bonjour,\n\nVotre commande %reference% est prête à être lancée. Réglez %amount% avant la fin du %end_date% :"
            "\n\n%url%\n\nUne question ? Écrivez à %shop_contact%.\n\nÀ bientôt, l'équipe de %shop_name%"
        ),
        is_default=True,
    )
    services.order_template_save(
        shop=shop,
        actor=actor,
        language="en",
        name="Special order",
        subject="Your special order at %shop_name%",
        body=(
            "Hello,\n\nYour order %reference% is ready to start. Please pay %amount% by the end of %end_date%:"
            "\n\n%url%\n\nAny question? Write to %shop_contact%.\n\nSee you soon, the team of %shop_name%"
        ),
        is_default=True,
    )


def _paid(story: _OrderStory, claire: Actor) -> None:
    paid = story.create(
        22, "paris", claire, amount=24900, reference="SUR-MESURE-041", recipients=["jeanne.roy@acheteur.example"],
        copy_to_manager=True,
    )  # fmt: skip
    with story.at(days=21.4) as moment:
        body = {
            "id": "demo-order-041",
            "type": "payment.accepted",
            "site_id": paid.shop.site_id,
            "mode": "PRODUCTION",
            "occurred_at": moment.isoformat(),
            "data": {
                "source": "PAYMENT_ORDER",
                "order_id": paid.reference,
                "transaction_id": "k7d20f",
                "amount": paid.amount,
                "currency": "EUR",
                "network": "CB",
                "buyer_email": paid.recipient,
            },
        }
        accept_event(valid=validate_event(body))


def _from_paris(story: _OrderStory, now: datetime, claire: Actor, paul: Actor) -> None:
    story.create(
        18, "paris", paul, amount=8900, reference="RETOUCHE-112", recipients=["m.lopez@acheteur.example"], valid_days=10
    )
    asked = story.create(
        6, "paris", claire, amount=36050, reference="SUR-MESURE-044", recipients=["karim.b@acheteur.example"],
        copy_to_manager=True, extra_copy="atelier@lumiere.example", buyer_reference="Client 2207",
    )  # fmt: skip
    story.later(
        asked,
        5.1,
        lambda: services.payment_order_report_problem(
            order=asked,
            name="Karim Benali",
            email="karim.b@acheteur.example",
            message="Bonjour,\nle devis signé était de 330,50 EUR, pas 360,50 EUR. Pouvez-vous corriger ?\nMerci",
            nonce="4f1d7a9052c34e6b8d0e1f2a3b4c5d6e",
        ),
    )
    story.create(1.2, "paris", claire, channel="url", amount=7200, reference="SALON-3")
    story.create(
        0.3, "paris", claire, amount=19900, reference="SUR-MESURE-047", recipients=["lea.martin@acheteur.example"],
        send_at=now + timedelta(days=1),
    )  # fmt: skip


def _from_lyon(story: _OrderStory, now: datetime, paul: Actor) -> None:
    # Cancelled before it left, so that no mail of it was stopped half-way.
    cancelled = story.create(
        9, "lyon", paul, amount=129000, reference="VITRINE-07", recipients=["contact@atelier-vitrine.example"],
        send_at=now + timedelta(hours=1),
    )  # fmt: skip
    story.later(cancelled, 8.5, lambda: services.payment_order_cancel(order=cancelled, actor=paul))
    story.create(3, "lyon", paul, amount=15000, reference="ACOMPTE-88", recipients=["h.nguyen@acheteur.example"])
    link = story.create(
        2.5, "lyon", paul, channel="url", amount=4500, reference="BOUTIQUE-15", buyer_reference="Mme Perrin"
    )
    story.later(link, 2.4, lambda: services.payment_order_handed_over(order=link, actor=paul))


def _tests(story: _OrderStory, claire: Actor) -> None:
    tested = story.create(
        12, "paris", claire, mode="TEST", amount=1990, reference="ESSAI-1", recipients=["claire@lumiere.example"]
    )
    story.later(
        tested,
        11.9,
        lambda: services.payment_order_simulate(order=tested, result="accepted", nonce="demo-simulation-1"),
    )
    story.create(1, "paris", claire, mode="TEST", channel="url", amount=4200, reference="ESSAI-2")
