"""What an event says in the fields of calls: the documented fields, what a trigger implies, why a call is made.

Pure: no database, no settings, no clock.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifications.calls.texts import (
    Reader,
    card,
    compact,
    currency,
    day,
    exact_text,
    flag,
    json_value,
    moment,
    number,
    one_of,
    text_of,
)

# PHP drops what comes after 1,000 fields; a signature over dropped fields would never match.
MAX_EXTENSIONS = 100


@dataclass(frozen=True)
class CallFacts:
    """An event as a call needs it.

    Attributes:
        trigger: one of the catalogue's triggers.
        mode: "TEST" or "PRODUCTION".
        site_id: the shop's 8 digits.
        occurred_at: aware.
        event_id: names the transaction where the event carries no transaction of its own.
        data: the event's data; keys that are not documented in docs/ipn.md go nowhere.
        contracts: contract numbers of the shop, used when there is exactly one and the event names none.
    """

    trigger: str
    mode: str
    site_id: str
    occurred_at: datetime
    event_id: str
    data: dict[str, Any]
    contracts: tuple[str, ...] = ()


# --- Why the call is made ----------------------------------------------------------------------

_BATCH_AUTHORISATION = ("transaction.authorised_by_batch", "transaction.declined_by_batch")
_BY_MERCHANT = (
    "transaction.refunded", "transaction.cancelled", "transaction.validated", "transaction.duplicated",
    "production_key.regenerated",
)  # fmt: skip
_BY_ACQUIRER = ("transaction.modified", "capture.sent")
_OF_SOURCE = {
    "BO": "MERCH_BO", "BATCH": "BATCH", "REC": "REC",
    "PAYMENT_ORDER": "PAYMENT_ORDER", "DCF": "DCF", "FILE": "FILE",
}  # fmt: skip


def check_source(trigger: str, source: str | None, *, retry: bool = False, manual: bool = False) -> str:
    """The value of `vads_url_check_src`: why this call is made.

    A call asked for in the back office is BO and an automatic retry RETRY, whatever they repeat.
    An automatic authorisation is BATCH_AUTO also for a payment that began with a form or an order.
    """
    if manual:
        return "BO"
    if retry:
        return "RETRY"
    if trigger in _BATCH_AUTHORISATION:
        return "BATCH_AUTO"
    if trigger in _BY_MERCHANT:
        return "BATCH" if source == "BATCH" else "MERCH_BO"
    if trigger == "subscription.instalment_created":
        return "REC"
    if source in _OF_SOURCE:
        return _OF_SOURCE[source]
    return "BATCH" if trigger in _BY_ACQUIRER else "PAY"


# --- What a trigger says by itself ---------------------------------------------------------------

# Values the event's data may give instead (`trans_status`).
STATUSES = (
    "ABANDONED", "ACCEPTED", "AUTHORISED", "AUTHORISED_TO_VALIDATE", "CANCELLED", "CAPTURED", "CAPTURE_FAILED",
    "EXPIRED", "INITIAL", "NOT_CREATED", "REFUSED", "SUSPENDED", "UNDER_VERIFICATION", "WAITING_AUTHORISATION",
    "WAITING_AUTHORISATION_TO_VALIDATE", "WAITING_FOR_PAYMENT",
)  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a trigger implies where the event's data does not say it.

    Attributes:
        status: `vads_trans_status`, or "" where there is no transaction.
        operation: `vads_operation_type`, or "".
        page_action: `vads_page_action` of the buyer's page that led here, or "".
        creates: True when the trigger is the creation of the transaction it is about.
    """

    status: str
    operation: str = ""
    page_action: str = ""
    creates: bool = False


MEANINGS: dict[str, Meaning] = {
    "payment.accepted": Meaning("AUTHORISED", "DEBIT", "PAYMENT", creates=True),
    "payment.refused": Meaning("REFUSED", "DEBIT", "PAYMENT", creates=True),
    "payment.abandoned": Meaning("ABANDONED", "DEBIT", "PAYMENT", creates=True),
    "payment.pending_external": Meaning("INITIAL", "DEBIT", "PAYMENT", creates=True),
    "transaction.refunded": Meaning("AUTHORISED", "CREDIT", creates=True),
    "transaction.cancelled": Meaning("CANCELLED", "DEBIT"),
    "transaction.declined_by_batch": Meaning("REFUSED", "DEBIT"),
    "transaction.authorised_by_batch": Meaning("AUTHORISED", "DEBIT"),
    "transaction.modified": Meaning("AUTHORISED", "DEBIT"),
    "transaction.validated": Meaning("AUTHORISED", "DEBIT"),
    "subscription.instalment_created": Meaning("WAITING_AUTHORISATION", "DEBIT", creates=True),
    "transaction.duplicated": Meaning("AUTHORISED", "DEBIT", creates=True),
    "token.updated": Meaning("ACCEPTED", page_action="REGISTER_UPDATE"),
    "token.created": Meaning("ACCEPTED", page_action="REGISTER"),
    "subscription.created": Meaning("ACCEPTED", page_action="REGISTER_SUBSCRIBE"),
    "capture.sent": Meaning("CAPTURED", "DEBIT"),
    "form.invalid": Meaning("NOT_CREATED"),
    "production_key.regenerated": Meaning(""),
    "payment.silence": Meaning(""),
}
_UNKNOWN = Meaning("")
# The acquirer may have accepted or refused: without a status in the event, neither is claimed.
_MODIFIED_BY_BATCH = "UNDER_VERIFICATION"

PAID = frozenset({"ACCEPTED", "AUTHORISED", "CAPTURED"})
_RESULT_OF_STATUS = {
    **dict.fromkeys((*PAID, "AUTHORISED_TO_VALIDATE", "WAITING_AUTHORISATION"), "00"),
    "WAITING_AUTHORISATION_TO_VALIDATE": "00",
    "REFUSED": "05",
    "ABANDONED": "17",
    "NOT_CREATED": "30",
}


# --- Fields --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CallField:
    """A documented field of form calls.

    Attributes:
        name: without `vads_`.
        read: gives its text from a value of the event, or "" where the value is none for it.
        keys: names in the event's data, the first that gives a text wins.
        format: for the documentation.
    """

    name: str
    read: Reader
    keys: tuple[str, ...]
    format: str


def _fields() -> Iterator[CallField]:
    def add(read: Reader, form: str, *names: str) -> Iterator[CallField]:
        for name in names:
            name, *others = name.split("|")
            yield CallField(name, read, (name, *others), form)

    yield CallField("trans_id", exact_text, ("transaction_id", "trans_id"), "text")
    yield from add(one_of(*STATUSES), "status", "trans_status")
    yield from add(one_of("DEBIT", "CREDIT"), "DEBIT or CREDIT", "operation_type")
    yield from add(moment, "date and time", "trans_date", "effective_creation_date", "presentation_date")
    yield from add(currency, "currency", "currency", "sub_currency")
    yield from add(
        number, "number", "amount", "effective_amount", "capture_delay", "sequence_number", "expiry_month",
        "expiry_year", "nb_products", "sub_amount", "sub_init_amount", "sub_init_amount_number", "recurrence_number",
    )  # fmt: skip
    yield from add(flag, "0 or 1", "validation_mode", "threeds_sign_valid")
    yield from add(card, "masked card number", "card_number")
    yield from add(day, "day", "sub_effect_date")
    yield from add(json_value, "JSON", "payment_seq")
    yield from add(one_of("INTERACTIVE", "SILENT"), "INTERACTIVE or SILENT", "action_mode")
    yield from add(one_of("FULL", "MARK"), "FULL or MARK", "auth_mode")
    yield from add(one_of("EC", "MOTO", "CC", "OTHER"), "EC, MOTO, CC or OTHER", "payment_src")
    yield from add(
        text_of, "text", "trans_uuid", "page_action", "payment_config", "result", "extra_result", "payment_error",
        "contrib", "warranty_result", "change_rate", "card_brand|network", "contract_used|contract", "auth_number",
        "auth_result", "payment_certificate", "card_country", "bank_code", "bank_product", "ext_trans_id",
        "payment_option_code", "user_info", "language", "shop_name", "shop_url",
        "order_id", "order_info", "order_info2", "order_info3",
        "cust_address", "cust_address_number", "cust_address2", "cust_cell_phone", "cust_city", "cust_country",
        "cust_district", "cust_email|buyer_email", "cust_first_name", "cust_id", "cust_last_name", "cust_legal_name",
        "cust_name", "cust_national_id", "cust_phone", "cust_state", "cust_status", "cust_title", "cust_zip",
        "ship_to_city", "ship_to_country", "ship_to_delivery_company_name", "ship_to_district", "ship_to_first_name",
        "ship_to_last_name", "ship_to_legal_name", "ship_to_name", "ship_to_phone_num", "ship_to_speed",
        "ship_to_state", "ship_to_status", "ship_to_street", "ship_to_street2", "ship_to_street_number",
        "ship_to_type", "ship_to_zip",
        "identifier", "identifier_status", "subscription", "sub_desc", "recurrence_status",
        "risk_control", "risk_assessment_result",
        "threeds_enrolled", "threeds_cavv", "threeds_eci", "threeds_xid", "threeds_cavvAlgorithm", "threeds_status",
        "threeds_error_code", "threeds_exit_status",
    )  # fmt: skip


FIELDS: tuple[CallField, ...] = tuple(_fields())
# Fields whose end the merchant chooses, or that repeat.
_OPEN_ENDED = re.compile(r"ext_info_[A-Za-z0-9_]{1,64}|product_(?:amount|label|qty|ref|type|vat)[0-9]{1,3}")


def values_of(facts: CallFacts) -> dict[str, str]:
    """What both formats say, under the names of the form fields without their prefix."""
    data = facts.data
    values: dict[str, str] = {}
    for field in FIELDS:
        for key in field.keys:
            text = field.read(data[key]) if key in data else ""
            if text:
                values[field.name] = text
                break
    extensions = sorted(key for key in data if _OPEN_ENDED.fullmatch(key) and text_of(data[key]))
    values.update({key: text_of(data[key]) for key in extensions[:MAX_EXTENSIONS]})
    _complete(values, facts)
    return {name: text for name, text in values.items() if text}


def _complete(values: dict[str, str], facts: CallFacts) -> None:
    """Add what follows from the trigger, the shop and the time where the event does not say it."""
    meaning = MEANINGS.get(facts.trigger, _UNKNOWN)
    source = facts.data.get("source")
    status = meaning.status
    if facts.trigger == "transaction.modified" and check_source(facts.trigger, source) == "BATCH":
        status = _MODIFIED_BY_BATCH
    values.setdefault("trans_status", status)
    # A token or a subscription is a payment too when it comes with an amount.
    values.setdefault("operation_type", meaning.operation or ("DEBIT" if "amount" in values and status else ""))
    if source not in ("BO", "BATCH", "REC", "FILE"):
        values.setdefault("page_action", meaning.page_action)
        if meaning.page_action == "PAYMENT" and not facts.data.get("instalments"):
            values.setdefault("payment_config", "SINGLE")
    values.setdefault("result", _RESULT_OF_STATUS.get(values["trans_status"], ""))
    values.setdefault("trans_date", compact(facts.occurred_at))
    if meaning.creates:
        values.setdefault("effective_creation_date", compact(facts.occurred_at))
    if "amount" in values:
        values.setdefault("effective_amount", values["amount"])
    if len(facts.contracts) == 1:
        values.setdefault("contract_used", text_of(facts.contracts[0]))
    values.setdefault("trans_uuid", _uuid(facts, values))


def _uuid(facts: CallFacts, values: Mapping[str, str]) -> str:
    """A name of the transaction, the same in all its calls; its number is unique in a shop's day only."""
    transaction = values.get("trans_id")
    own = (transaction, values["trans_date"][:8], values["operation_type"]) if transaction else (facts.event_id,)
    return hashlib.sha256("\n".join((facts.site_id, facts.mode, *own)).encode("utf-8", "replace")).hexdigest()[:32]
