"""Health of addresses in the demonstration: some verified, one full, one suppressed; a digest and an alarm about
payments.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from backoffice.demo.document import FAILING_ADDRESS
from backoffice.text.addresses import normalise
from companies import services
from companies.audit import Actor
from companies.models import Company
from notifications.core.address_health import Cause
from notifications.core.digests import due
from notifications.events import digests
from notifications.health import recording, verification
from notifications.models import AddressHealth, AddressSign, Attempt, Delivery, NotificationRule
from notifications.rules import services as rule_services
from shops.models import Shop

FULL_ADDRESS = "commandes@lumière-boutique.example"
# What the servers of the two answer, with the code of SMTP.
REFUSALS = {
    FAILING_ADDRESS: f"5.1.1 <{FAILING_ADDRESS}>: Recipient address rejected: User unknown in virtual mailbox table",
    FULL_ADDRESS: "5.2.2 Mailbox full, quota exceeded",
}
# Until then mail to the full one arrived.
FULL_SINCE = timedelta(days=3)
# The rule of the shop in Lyon tells of its payments once a day since then, in days before now.
DAILY_SINCE = 9
_CONFIRMED = (
    "claire@lumiere.example",
    "hugo@agence.example",
    "astreinte@lumiere.example",
    "lyon@lumiere.example",
    "compta+paiements@lumiere.example",
)
At = Callable[..., AbstractContextManager[datetime]]


def tell(at: At, claire: Actor) -> None:
    """Let Maison Lumière verify its addresses; most of their owners have followed the link.

    Args:
        at: moves what its block writes back in time, see `demo._Story.at`.
        claire: the administrator who asks.
    """
    company = Company.objects.get(reference="maison-lumiere")
    with at(days=30.2):
        services.company_update(company=company, actor=claire, verify_addresses=True)
        for address in _CONFIRMED:
            verification.verification_ask(company=company, address=address, actor=claire)
    for number, address in enumerate(_CONFIRMED):
        with at(days=29.9 - number / 7) as moment:
            actor = Actor(address, ip_address="192.0.2.17")
            recording.address_verified(company=company, normalised=normalise(address), cause=Cause.LINK, actor=actor)
        held = AddressHealth.objects.filter(company=company, normalised_address=normalise(address))
        held.update(since=moment, verified_at=moment, asked_at=moment - timedelta(hours=3))


def watch(at: At, shop: Shop, claire: Actor) -> None:
    """Switch on the alarm about missing payments of a shop."""
    with at(days=15.1):
        rule_services.rule_create(
            shop=shop,
            actor=claire,
            reference="mail-silence",
            type="merchant_email",
            label="E-mail d'alerte en l'absence de paiement",
            triggers=["payment.silence"],
            recipients=["@shop_manager"],
        )


def collect(at: At, rule: NotificationRule, claire: Actor) -> None:
    """Switch a rule to one digest a day from now on."""
    with at(days=DAILY_SINCE + 0.6):
        rule_services.rule_update(rule=rule, actor=claire, digest="daily")


def close_digests(at: At, now: datetime, day: int) -> None:
    """Send what rules collected on a day, at seven the next morning."""
    then = due("daily", now - timedelta(days=day), ZoneInfo("Europe/Paris"))
    if then is not None and then < now:
        with at(days=(now - then) / timedelta(days=1)):
            # The rows were accepted a moment ago by the clock of this machine, and are moved back afterwards.
            digests.tick(timezone.now() + timedelta(days=2))


def refused(at: At, now: datetime, delivery: Delivery, attempt: Attempt) -> None:
    """Record a refusal and its effect on the address."""
    with at(days=(now - attempt.started_at) / timedelta(days=1)):
        recording.note_refusal(
            recording.Refusal(
                delivery, attempt.started_at, attempt.reply.split()[0], attempt.reply.partition(" ")[2],
                AddressSign.Via.SMTP,
            )
        )  # fmt: skip
    AddressSign.objects.filter(delivery=delivery).update(noted_at=attempt.started_at)


def let_follow(carrier: Delivery) -> None:
    """Copy the state of a digest's mail to the deliveries it contains."""
    Delivery.objects.filter(carried_by=carrier.pk).update(
        status=carrier.status, error=carrier.error, sent_at=carrier.sent_at, attempt_count=carrier.attempt_count
    )
