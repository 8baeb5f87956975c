"""A sample of every mail of the catalogue, composed as real ones are, for a fictitious company.

Nothing is read from or written to the database but the history of accounts that were never saved. A notification or an event
without a sample fails `tests/notifications/mail/test_every_mail.py`; rules' mails have theirs by trigger.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from companies.models import Company, SftpAccount, User
from notifications.checks.findings import Finding
from notifications.core import catalogue, wording
from notifications.core.catalogue import RuleType
from notifications.core.reasons import Reason
from notifications.mail import emails
from notifications.mail.composers.base import LINK_MARK, page_url
from notifications.mail.samples import sample_event
from notifications.models import Delivery, Event, Message, NotificationRule
from shops.models import Shop

LANGUAGES = ("fr", "en")
PRODUCTION, TEST = "PRODUCTION", "TEST"
MOMENT = datetime(2026, 11, 23, 9, 42, tzinfo=UTC)
_KEY = "00000000-0000-4000-8000-000000000001"
# Rules have no mail to buyers about what concerns the shop alone.
_NOT_FOR_BUYERS = ("form.invalid", "production_key.regenerated", "payment.silence")
_PAYMENT = {"transaction_id": "k3f9a2", "order_id": "CMD-2026-1042", "amount": 24990, "currency": "EUR"}
_BUYER = "jeanne.petit@acheteur.example"
# Of a mail that names nobody, sent to whom.
_REASONS: dict[str, Reason] = {
    "ipn_failure": Reason.RULE_SHOP_MANAGER,
    "merchant_email": Reason.RULE_SHOP_MANAGER,
    "payment_order_copy": Reason.SHOP_MANAGER,
    "shop_created": Reason.SHOP_MANAGER,
    "production_key_generated": Reason.SHOP_MANAGER,
    "three_d_secure_activated": Reason.SHOP_MANAGER,
    "payment_order_problem": Reason.SHOP_MANAGER,
    "platform_incident": Reason.INCIDENT_CONTACT,
    "user_account": Reason.OWN_ACCOUNT,
    "sftp_account": Reason.OWN_ACCOUNT,
}


@dataclass(frozen=True)
class _World:
    """The company of the samples, in the language of the mail."""

    language: str

    def say(self, french: str, english: str) -> str:
        """What people wrote, which no catalogue translates."""
        return english if self.language == "en" else french

    @cached_property
    def company(self) -> Company:
        return Company(reference="maison-lumiere", name="Maison Lumière", language=self.language)

    @cached_property
    def shop(self) -> Shop:
        return Shop(
            company=self.company,
            site_id="10000001",
            name="Lumière Paris",
            url="https://paris.lumiere.example",
            manager_email="paris@lumiere.example",
            language=self.language,
        )

    @cached_property
    def user(self) -> User:
        return User(login="claire", email="claire@lumiere.example", first_name="Claire", last_name="Morel")

    @cached_property
    def sftp(self) -> SftpAccount:
        return SftpAccount(company=self.company, login="lumiere-compta", email="compta@lumiere.example")

    def rule(self, rule_type: str, trigger: str) -> NotificationRule:
        fitting = [rule for rule in catalogue.DEFAULT_RULES if rule.type == rule_type]
        default = next((rule for rule in fitting if trigger in rule.triggers), fitting[0])
        # Labels of default rules are stored in French, and translated as they are read.
        with translation.override("fr"):
            label = str(default.label)
        return NotificationRule(
            shop=self.shop,
            reference=default.reference,
            label=label,
            type=rule_type,
            triggers=[trigger],
            recipients=["@shop_manager"],
        )


# Variant of a sample → what sets it apart, in words.
VARIANTS: dict[str, Promise] = {
    "back": gettext_lazy("paiements de retour"),
    "closed": gettext_lazy("fermée"),
    "credit-note": gettext_lazy("avoir"),
    "falls-back": gettext_lazy("part par la plateforme"),
    "disabled": gettext_lazy("compte désactivé"),
    "last": gettext_lazy("dernière tentative"),
    "over": gettext_lazy("terminé"),
    "removed": gettext_lazy("adresse retirée"),
    "reopened": gettext_lazy("rouverte"),
    "several": gettext_lazy("plusieurs appels"),
    "update": gettext_lazy("nouvelles suivantes"),
}
Data = Callable[[_World], dict[str, Any]]


@dataclass(frozen=True)
class Sample:
    """One mail: of which notification, after which event, and in which of its variants.

    Attributes:
        key: names it in addresses.
        variant: what sets it apart from others of the same event.
        modes: the modes in which it exists.
    """

    notification: str
    event: str
    data: Data
    variant: str = ""
    modes: tuple[str, ...] = (PRODUCTION,)

    @property
    def key(self) -> str:
        return "-".join(filter(None, (self.notification, self.event, self.variant)))

    @property
    def label(self) -> str:
        """The notification, what happened and the variant, in the active language."""
        label = f"{catalogue.BY_CODE[self.notification].label}{_(' : ')}{wording.trigger_label(self.event)}"
        return f"{label} ({VARIANTS[self.variant]})" if self.variant else label


# --- What the events say --------------------------------------------------------------------------


def _nothing(world: _World) -> dict[str, Any]:
    return {}


def _call(world: _World, number: int = 1, *, last: bool = False, code: str = "SERVER_503") -> dict[str, Any]:
    return {
        "delivery": _KEY,
        "event": f"evt-{number}",
        "trigger": "payment.accepted",
        "url": "https://paris.lumiere.example/paiement/notification",
        "number": number,
        "last": last,
        "retry_at": None if last else (MOMENT + timedelta(minutes=15)).isoformat(),
        "code": code,
        "http_status": 503,
        **_PAYMENT,
    }


def _one_call(world: _World) -> dict[str, Any]:
    return {"calls": [_call(world)]}


def _last_call(world: _World) -> dict[str, Any]:
    return {"calls": [_call(world, 5, last=True, code="TIMEOUT")]}


def _several_calls(world: _World) -> dict[str, Any]:
    return {"calls": [{**_call(world), "transaction_id": f"k3f9a{number}"} for number in range(4)]}


def _recovered(world: _World) -> dict[str, Any]:
    return {"calls": [_call(world, 2)], "since": (MOMENT - timedelta(hours=3)).isoformat()}


def _digest(world: _World) -> dict[str, Any]:
    told = [
        {
            "event": f"evt-{number}",
            "type": "payment.refused" if number == 2 else "payment.accepted",
            "at": (MOMENT - timedelta(minutes=55 - number * 9)).isoformat(),
            "order_id": f"CMD-2026-10{number + 40}",
            "transaction_id": f"k3f9a{number}",
            "amount": 4990 + number * 1500,
            "currency": "EUR",
        }
        for number in range(5)
    ]
    return {
        "count": 7,
        "since": told[0]["at"],
        "until": MOMENT.isoformat(),
        "events": told,
    }


def _order(world: _World) -> dict[str, Any]:
    written = world.say(
        "Bonjour,|Lumière Paris vous adresse un ordre de paiement pour votre commande de lampes.|Merci de votre confiance.",
        "Hello,|Lumière Paris sends you a payment order for the lamps you ordered.|Thank you for your trust.",
    )
    return {
        "order": _KEY,
        "order_id": "CMD-2026-1042",
        "amount": 24990,
        "currency": "EUR",
        "recipient": _BUYER,
        "valid_until": "2026-12-15",
        "subject": world.say("Votre commande de lampes : 249,90 EUR", "Your order of lamps: 249.90 EUR"),
        "paragraphs": [[line] for line in written.split("|")],
        "link_after": 2,
        "url": page_url("payment_order_public", "essai"),
        "contact": "paris@lumiere.example",
    }


def _problem(world: _World) -> dict[str, Any]:
    return {
        **_order(world),
        "problem": "SIG-2026-0007",
        "buyer_name": "Jeanne Petit",
        "buyer_email": _BUYER,
        "message": world.say(
            "Le montant ne correspond pas à mon devis.\nPouvez-vous vérifier ?",
            "The amount is not the one of my quote.\nCould you check?",
        ),
    }


def _form(world: _World) -> dict[str, Any]:
    return {
        "title": world.say("Inscription à l'atelier du samedi", "Saturday workshop registration"),
        "number": 3,
        "author": "Claire Morel",
        "url": page_url("data_form_public", "essai"),
    }


def _bill(world: _World) -> dict[str, Any]:
    return {
        "kind": "invoice",
        "number": "F-2026-000123",
        "credits": "",
        "document": _KEY,
        "period_start": "2026-10-01",
        "period_end": "2026-10-31",
        "currency": "EUR",
        "net": "1240.50",
        "tax": "248.10",
        "gross": "1488.60",
    }


def _credit_note(world: _World) -> dict[str, Any]:
    return {**_bill(world), "kind": "credit_note", "number": "A-2026-000004", "credits": "F-2026-000123"}


def _errors(world: _World) -> dict[str, Any]:
    findings = (
        Finding("no_incident_address", "error", "company"),
        Finding("production_without_contract", "error", "shop", shop="10000001"),
    )
    return {
        "errors": [one.as_json() for one in findings],
        "warnings": 2,
        "checked_at": MOMENT.isoformat(),
        "shops": {"10000001": "Lumière Paris"},
    }


def _letter(world: _World) -> dict[str, Any]:
    return {
        "language": world.language,
        "title": world.say("Ce qui change en janvier", "What changes in January"),
        "text": world.say(
            "## Des récapitulatifs par règle\n\nUne règle peut désormais écrire **une fois par jour**.\n\n"
            "- tous les événements, dans l'ordre\n- TEST et PRODUCTION séparés",
            "## Digests by rule\n\nA rule may now write **once a day**.\n\n"
            "- every event, in order\n- TEST and PRODUCTION apart",
        ),
    }


def _incident(world: _World, *, state: str = "investigating", opens: bool = True) -> dict[str, Any]:
    over = state == "resolved"
    return {
        "language": world.language,
        "title": world.say("Paiements par carte ralentis", "Card payments are slow"),
        "text": world.say(
            "Tout fonctionne de nouveau." if over else "Une partie des paiements prend plus d'une minute.",
            "Everything works again." if over else "Some payments take more than a minute.",
        ),
        "state": state,
        "impact": "partial",
        "opens": opens,
        "started_at": (MOMENT - timedelta(hours=2)).isoformat(),
        "resolved_at": MOMENT.isoformat() if over else None,
    }


def _news(world: _World) -> dict[str, Any]:
    return _incident(world, state="identified", opens=False)


def _resolved(world: _World) -> dict[str, Any]:
    return _incident(world, state="resolved", opens=False)


def _back(world: _World) -> dict[str, Any]:
    return {"since": (MOMENT - timedelta(hours=5)).isoformat(), "back": MOMENT.isoformat()}


def _of_state(status: str) -> Data:
    def told(world: _World) -> dict[str, Any]:
        reason = world.say("Pièces justificatives attendues", "Supporting documents awaited")
        return {"status": status, "reason": "" if status == "active" else reason}

    return told


def _says(**data: Any) -> Data:
    return lambda world: data


def _trouble(world: _World) -> dict[str, str]:
    text = world.say("Aucun worker ne s'est montré depuis 12 minutes.", "No worker has shown itself for 12 minutes.")
    return {"part": "worker", "text": text}


_REPLACED = {"before": "hugo@agence.example", "after": "claire@lumiere.example", "author": "Claire Morel"}
_RELAY = {"relay": "smtp.lumiere.example:587", "reply": "550 5.7.1 Sender address rejected"}
_DEVICE = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
MODES = (PRODUCTION, TEST)


# --- The samples ----------------------------------------------------------------------------------


def _of_rules() -> Iterator[Sample]:
    for notification in ("merchant_email", "buyer_email"):
        for trigger in catalogue.TRIGGERS:
            if notification == "buyer_email" and trigger.code in _NOT_FOR_BUYERS:
                continue
            modes = (PRODUCTION,) if trigger.code in ("production_key.regenerated", "payment.silence") else MODES
            yield Sample(notification, trigger.code, _nothing, modes=modes)
    yield Sample("merchant_email", "payment.silence", _back, "back")
    yield Sample("merchant_email", "digest.due", _digest, modes=MODES)


_OTHERS: tuple[Sample, ...] = (
    Sample("ipn_failure", "ipn.failed", _one_call, modes=MODES),
    Sample("ipn_failure", "ipn.failed", _last_call, "last", MODES),
    Sample("ipn_failure", "ipn.failed", _several_calls, "several", MODES),
    Sample("ipn_failure", "ipn.recovered", _recovered, modes=MODES),
    Sample("shop_created", "shop.created", _nothing),
    Sample("production_key_generated", "production_key.generated", _says(author="Claire Morel")),
    Sample("production_key_generated", "production_key.regenerated", _says(author="Claire Morel")),
    Sample("three_d_secure_activated", "three_d_secure.activated", _says(contract="5785350", network="CB")),
    Sample("payment_order_problem", "payment_order.problem", _problem, modes=MODES),
    Sample("payment_order_copy", "payment_order.sent", _order, modes=MODES),
    Sample("data_form_go_live", "data_form.requested", _form),
    Sample("data_form_go_live", "data_form.published", _form),
    Sample("data_form_go_live_confirmation", "data_form.published", _form),
    Sample("data_form_go_live_confirmation", "data_form.confirmed", _form),
    Sample("detailed_billing", "billing.issued", _bill),
    Sample("detailed_billing", "billing.issued", _credit_note, "credit-note"),
    Sample("consistency_report", "consistency.errors_found", _errors),
    Sample("newsletter", "newsletter.published", _letter),
    Sample("platform_incident", "incident.told", _incident),
    Sample("platform_incident", "incident.told", _news, "update"),
    Sample("platform_incident", "incident.resolved", _resolved),
    Sample("user_account", "user_account.created", _says(link=True)),
    Sample("user_account", "user_account.modified", _says(changed=["email", "role"])),
    Sample("user_account", "user_account.modified", _says(changed=["is_active"]), "disabled"),
    Sample("sftp_account", "sftp_account.created", _says(link=True)),
    Sample("sftp_account", "sftp_account.modified", _says(changed=["email"])),
    Sample("sftp_account", "sftp_account.modified", _says(changed=["is_active"]), "disabled"),
    Sample("payment_order", "payment_order.sent", _order, modes=MODES),
    Sample("payment_order_extra_copy", "payment_order.sent", _order, modes=MODES),
    Sample("account_security", "account.password_reset_requested", _nothing),
    Sample("account_security", "account.password_changed", _nothing),
    Sample("account_security", "account.address_changed", _says(new_address="c.morel@lumiere.example")),
    Sample("account_security", "account.second_factor_changed", _says(second_factor="totp_activated")),
    Sample("account_security", "account.locked", _nothing),
    Sample("account_security", "account.new_device", _says(user_agent=_DEVICE, ip_address="203.0.113.7")),
    Sample("account_security", "company.manager_replaced", _says(**_REPLACED)),
    Sample("account_security", "company.status_changed", _of_state("suspended")),
    Sample("account_security", "company.status_changed", _of_state("closed"), "closed"),
    Sample("account_security", "company.relay_closed", _says(**_RELAY, falls_back=False)),
    Sample("account_security", "company.relay_closed", _says(**_RELAY, falls_back=True), "falls-back"),
    Sample("account_security", "company.relay_reopened", _says(**_RELAY)),
    Sample("account_security", "shop.status_changed", _of_state("suspended")),
    Sample("account_security", "shop.status_changed", _of_state("active"), "reopened"),
    Sample("address_check", "newsletter.tried", _nothing),
    Sample(
        "address_check",
        "address.verification_asked",
        _says(address="compta@lumiere.example", author="Claire Morel"),
    ),
    Sample("staff_alert", "sending.needs_a_person", lambda world: {"new": [_trouble(world)], "over": []}),
    Sample("staff_alert", "sending.needs_a_person", lambda world: {"new": [], "over": [_trouble(world)]}, "over"),
    Sample("address_replaced", "address.replaced", _says(**_REPLACED, places=4)),
    Sample("address_replaced", "address.replaced", _says(**{**_REPLACED, "after": ""}, places=2), "removed"),
)

# In the order of the catalogue.
SAMPLES: tuple[Sample, ...] = tuple(
    sorted((*_of_rules(), *_OTHERS), key=lambda sample: catalogue.ORDER[sample.notification])
)
NOTIFICATIONS = frozenset(sample.notification for sample in SAMPLES)
BY_KEY: dict[str, Sample] = {sample.key: sample for sample in SAMPLES}


# --- Composing ------------------------------------------------------------------------------------


def composed(sample: Sample, language: str, mode: str, *, link: str = emails.MASKED_LINK) -> Delivery:
    """The mail of a sample as its recipient would get it, not saved; `emails.fill` reads it.

    Args:
        link: stands for those that open an account, which a sample has none of.
    """
    world = _World(language)
    row = catalogue.BY_CODE[sample.notification]
    rule = _rule(sample, world)
    event = _event(sample, world, mode)
    account = _account(sample, world)
    message = emails.compose(event, sample.notification, language, rule=rule, account=account)
    message.text, message.html = (part.replace(LINK_MARK, link) for part in (message.text, message.html))
    address = _address(sample, world)
    reason = _reason(sample, row)
    return Delivery(
        id=uuid.UUID(_KEY),
        event=event,
        company=world.company,
        shop=event.shop,
        rule=rule,
        notification=sample.notification,
        account=account.login if account else "",
        address=address,
        normalised_address=address,
        mode=mode,
        message=message,
        to_addresses=[address],
        resolution={
            "reason": reason,
            "params": {
                "shop": world.shop.name,
                "rule": rule.display_label if rule else "",
                "login": account.login if account else "",
            },
        },
    )


def _reason(sample: Sample, row: catalogue.Notification) -> Reason:
    if row.because and not sample.event.startswith(("company.", "shop.")):
        return row.because
    kind = Reason.SHOP_MANAGER if sample.event.startswith("shop.") else Reason.COMPANY_MANAGER
    return _REASONS.get(sample.notification, kind)


def _rule(sample: Sample, world: _World) -> NotificationRule | None:
    kind = catalogue.BY_CODE[sample.notification].rule_type
    if kind is None:
        return None
    trigger = "payment.accepted" if kind == RuleType.IPN_CALL or sample.event == "digest.due" else sample.event
    return world.rule(kind, trigger)


def _event(sample: Sample, world: _World, mode: str) -> Event:
    data = sample.data(world)
    if sample.event in catalogue.TRIGGER_ORDER and _rule(sample, world) is not None:
        event = sample_event(world.shop, sample.event, mode, MOMENT)
        event.data = data or event.data
        return event
    of_shop = not sample.event.startswith(("company.", "account.", "user_account.", "sftp_account.", "address."))
    about = catalogue.BY_CODE[sample.notification].scope
    return Event(
        company=world.company,
        shop=world.shop if of_shop and about != "company" else None,
        event_id="sample",
        type=sample.event,
        mode=mode,
        occurred_at=MOMENT,
        data=data,
    )


def _account(sample: Sample, world: _World) -> User | SftpAccount | None:
    account: User | SftpAccount
    if sample.notification == "sftp_account":
        account = world.sftp
    elif sample.notification == "user_account" or sample.event.startswith("account."):
        account = world.user
    else:
        return None
    account.is_active = sample.variant != "disabled"
    return account


def _address(sample: Sample, world: _World) -> str:
    match catalogue.BY_CODE[sample.notification].to:
        case catalogue.Source.BUYER:
            return _BUYER
        case catalogue.Source.SFTP_ACCOUNT:
            return world.sftp.email
        case catalogue.Source.SHOP_MANAGER | catalogue.Source.RULE:
            return world.shop.manager_email
        case _other:
            return world.user.email


def frozen(sample: Sample, language: str, mode: str, *, link: str) -> Message:
    """The content of a sample alone, not saved."""
    message = composed(sample, language, mode, link=link).message
    assert message
    return message
