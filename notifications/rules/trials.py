"""« Essayer la règle »: one mail or call with the values being edited, marked as a test, never repeated.

A test takes the way of every other delivery: outbox, worker, journal. Its rows share a run, under
which the page shows what came of it.
"""

import uuid
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from backoffice.text import addresses
from companies import audit
from companies.audit import Actor
from companies.models import User
from notifications import settings_facts
from notifications.calls import requests as calls
from notifications.core import resolver
from notifications.core.catalogue import NOTIFICATION_OF_RULE_TYPE, Channel, RuleType, Source
from notifications.core.reasons import Reason
from notifications.events import doorbell
from notifications.mail import emails
from notifications.models import Delivery, Event, NotificationRule, dedupe_key

# Tests a user may ask for in ten minutes.
LIMIT, WINDOW_SECONDS = 10, 600


@transaction.atomic
def rule_test(
    *, rule: NotificationRule, mode: str, user: User, actor: Actor, data: dict[str, Any] | None = None
) -> uuid.UUID:
    """Queue a test of a rule as it is being edited.

    Args:
        rule: with the values typed, saved or not; its shop is saved.
        mode: TEST or PRODUCTION: which URL and key a call uses, what a mail says.
        user: who asks; receives the test of a mail to the buyer.
        data: what the sample event says where it was edited.

    Returns:
        The run of the queued rows.

    Raises ValidationError when there is nothing to send, or nowhere.
    """
    shop = rule.shop
    if shop.company.status != "active" or shop.status != "active":
        raise ValidationError(_("La société ou la boutique est suspendue ou fermée : rien ne part."))
    event = Event(
        company=shop.company,
        shop=shop,
        event_id=f"bom-{uuid.uuid4()}",
        type=rule.triggers[0] if rule.triggers else "payment.accepted",
        mode=mode,
        occurred_at=timezone.now(),
        data={**_PAYMENT, **data} if data is not None else sample_data(rule),
    )
    rows = _call(event, rule) if rule.type == RuleType.IPN_CALL else _mails(event, rule, user)
    run = uuid.uuid4()
    for row in rows:
        row.run, row.is_test = run, True
        row.dedupe_key = dedupe_key(event.pk, row.notification, row.address, row.pk)
    Delivery.objects.bulk_create(rows)
    audit.record(
        actor=actor,
        action="rule.tested",
        obj=rule if rule.pk else shop,
        company=shop.company,
        changes={"mode": [None, mode], "sent_to": [None, [row.address for row in rows]]},
    )
    transaction.on_commit(doorbell.ring, robust=True)
    return run


_PAYMENT: dict[str, Any] = {"transaction_id": "000000", "order_id": "TEST"}


def sample_data(rule: NotificationRule) -> dict[str, Any]:
    """Sample data of a payment, with what the rule's conditions ask for by equality or list."""
    data: dict[str, Any] = {**_PAYMENT, "amount": 1990, "currency": "EUR"}
    for condition in rule.condition_facts:
        if condition.operator in ("eq", "in") and condition.variable != "mode":
            value = condition.value
            data[condition.variable] = value[0] if isinstance(value, tuple) else value
    return data


def _call(event: Event, rule: NotificationRule) -> list[Delivery]:
    target = calls.target(rule, event.mode, event.data.get("source"))
    if not target.url:
        raise ValidationError(_("Aucune URL n'est renseignée pour le mode %(mode)s.") % {"mode": event.mode})
    event.save(force_insert=True)
    row = _row(event, rule, calls.NOTIFICATION, Channel.IPN)
    calls.aim(row, target)
    row.call = {**calls.frozen(rule), "auto_retry": False, **calls.content(event, target.format)}
    return [row]


def _mails(event: Event, rule: NotificationRule, user: User) -> list[Delivery]:
    """One row for each recipient typed; the test of a mail to the buyer goes to the user who runs it."""
    shop = rule.shop
    code = NOTIFICATION_OF_RULE_TYPE[rule.type]
    if rule.type == RuleType.BUYER_EMAIL:
        recipients = [user.email]
        event.data["buyer_email"] = user.email
    else:
        facts = settings_facts.company_facts(shop.company, shops=[shop], live_rules=[], accounts=False)
        # Whether the rule is on does not matter to its test.
        rule_facts = replace(settings_facts.rule_facts(rule), enabled=True)
        decisions = resolver.resolve(facts, code, shop=facts.shops[0], rule=rule_facts)
        recipients = addresses.unique(decision.address for decision in decisions if decision.delivers)
    if not recipients:
        raise ValidationError(_("La règle n'a aucun destinataire : il n'y a personne à qui écrire."))
    event.save(force_insert=True)
    language = shop.language
    with translation.override(language):
        message = emails.compose(event, code, language, rule=rule)
        # The mark of the mode, if any, stays in front.
        mark, _space, subject = message.subject.partition(" ") if event.mode == "TEST" else ("", "", message.subject)
        message.subject = " ".join(filter(None, [mark, _("Essai : %(subject)s") % {"subject": subject}]))[:300]
    message.headers = {**message.headers, "X-BOM-Test": "true"}
    message.save(force_insert=True)
    rows = []
    for address in recipients:
        row = _row(event, rule, "address_check", Channel.EMAIL)
        row.message, row.address, row.normalised_address = message, address, addresses.normalise(address)[:500]
        row.to_addresses = [address]
        rows.append(row)
    return rows


def _row(event: Event, rule: NotificationRule, notification: str, channel: str) -> Delivery:
    return Delivery(
        event=event,
        company=event.company,
        shop=event.shop,
        notification=notification,
        rule=rule if rule.pk else None,
        channel=channel,
        mode=event.mode,
        resolution={
            "source": Source.URL if channel == Channel.IPN else Source.TYPED,
            "reason": Reason.RULE_TEST,
            "params": {"rule": rule.label, "shop": rule.shop.name},
        },
    )
