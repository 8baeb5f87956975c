"""Samples of a rule's mail: an event with sample data, and the mail it leads to.

The mail comes out of the same composing and wrapping as a real one; nothing is stored or sent.
"""

import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from notifications import settings_facts
from notifications.core import catalogue, resolver
from notifications.core.facts import Occasion
from notifications.core.templating import FIELDS
from notifications.mail import emails
from notifications.models import Delivery, Event, NotificationRule
from shops.models import Shop

_PAYMENT = ("transaction_id", "order_id", "payment_method", "network", "contract", "buyer_name", "buyer_email")
# Trigger → the data fields its sample has besides those of a payment, or in their place.
_MORE: dict[str, tuple[str, ...]] = {
    "payment.refused": ("reason",),
    "transaction.declined_by_batch": ("reason",),
    "token.created": ("token",),
    "token.updated": ("token",),
    "subscription.created": ("subscription_id",),
    "subscription.instalment_created": ("subscription_id",),
    "capture.sent": ("mandate", "due_date"),
    "form.invalid": ("error",),
}
# About no payment.
_ABOUT_THE_SHOP = ("production_key.regenerated", "payment.silence")
_WITHOUT_AMOUNT = ("token.created", "token.updated", *_ABOUT_THE_SHOP)
_AMOUNT = 1990  # cents


def sample_event(shop: Shop, trigger: str, mode: str, moment: datetime | None = None) -> Event:
    """An event of the shop, not saved, with a value for every field its mail may tell."""
    names = () if trigger in _ABOUT_THE_SHOP else (*_PAYMENT, *_MORE.get(trigger, ()))
    data: dict[str, Any] = {name: FIELDS[name].sample for name in names}
    if trigger not in _WITHOUT_AMOUNT:
        data |= {"amount": _AMOUNT, "currency": "EUR"}
    if trigger == "capture.sent":
        data |= {"network": "SEPA", "payment_method": "SEPA"}
    if trigger == "form.invalid":
        data["form"] = {
            "vads_site_id": shop.site_id,
            "vads_ctx_mode": mode,
            "vads_amount": str(_AMOUNT),
            "vads_currency": "978",
            "vads_trans_id": data["transaction_id"],
            "vads_order_id": data["order_id"],
            "vads_cust_email": data["buyer_email"],
            "signature": "x",
        }
    if trigger == "payment.silence":
        until = moment or timezone.now()
        since = until - timedelta(hours=5)
        data |= {"since": since.isoformat(), "until": until.isoformat(), "expected": 6.2, "chance": 0.2, "weeks": 8}
    data["source"] = "BATCH" if trigger.endswith("_by_batch") else "FORM"
    return Event(
        company=shop.company,
        shop=shop,
        event_id="sample",
        type=trigger,
        mode=mode,
        occurred_at=moment or timezone.now(),
        data=data,
    )


@dataclass(frozen=True)
class Rehearsal:
    """A mail as its recipient would see it."""

    subject: str
    text: str
    html: str
    reply_to: str


def rehearse(
    rule: NotificationRule,
    event: Event,
    language: str,
    *,
    texts: dict[str, dict[str, str]] | None = None,
    fields: list[str] | None = None,
    edited: bool = False,
) -> Rehearsal:
    """The mail of a rule for an event, in a language.

    Args:
        texts, fields: with `edited`, what stands in for the rule's own; already checked.
    """
    draft = copy.copy(rule)
    if edited:
        draft.email_texts, draft.email_fields = texts or {}, fields
    code = catalogue.NOTIFICATION_OF_RULE_TYPE[rule.type]
    message = emails.compose(event, code, language, rule=draft)
    delivery = Delivery(message=message, resolution=_resolution(rule, event, code))
    text, html = emails.filled(delivery, "")
    return Rehearsal(message.subject, text, html, message.reply_to)


def _resolution(rule: NotificationRule, event: Event, code: str) -> dict[str, Any]:
    """Why the first recipient of the rule would be written to, whether the rule is on or not."""
    facts = settings_facts.company_facts(event.company, shops=[rule.shop], live_rules=[rule], accounts=False)
    shop = facts.shops[0]
    occasion = Occasion(address=str(event.data.get("buyer_email") or "")) if code == "buyer_email" else None
    decisions = resolver.resolve(facts, code, shop=shop, rule=replace(shop.rules[0], enabled=True), occasion=occasion)
    chosen = next((decision for decision in decisions if decision.delivers), None)
    return {"reason": chosen.reason, "params": chosen.params} if chosen else {}
