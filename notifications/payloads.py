"""What a call to a notification URL says: form V1/V2 and REST V4 (docs/ipn.md).

The content (`form_fields`, `rest_answer`) is JSON-able and frozen when an event is accepted; what
changes with each attempt (`vads_url_check_src`, `vads_hash`, signatures) is added by `form_call`
and `rest_call` when it is sent.

Pure: no database, no settings, no clock.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote_plus

from . import signing
from .currencies import CURRENCIES

FORM, REST = "form", "rest"
FORM_VERSION = "V2"
ANSWER_TYPE = "V4/Payment"
HASH_ALGORITHM = "sha256_hmac"
# The REST code of a payment that the acquirer refused; its own code stands in `detailedErrorCode`.
REFUSED_CODE = "ACQ_001"
# The charset is said because some servers read form fields as Latin-1 unless told otherwise.
CONTENT_TYPE = "application/x-www-form-urlencoded; charset=UTF-8"
# Known only while the buyer pays; the platform does not store them, so later calls lack them.
NOT_STORED = ("vads_page_action", "vads_payment_config", "vads_action_mode")
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


# --- Which call ----------------------------------------------------------------------------------


def call_format(source: str | None, *, has_form: bool, has_rest: bool) -> str | None:
    """The format of the call for an event of that source: "form", "rest", or None for no call.

    A payment by the JavaScript client is never told to a form URL; all else goes to the form URL
    where there is one. An absent source counts as FORM.
    """
    if source == "JS":
        return REST if has_rest else None
    if has_form:
        return FORM
    return REST if has_rest else None


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
}
_UNKNOWN = Meaning("")
# The acquirer may have accepted or refused: without a status in the event, neither is claimed.
_MODIFIED_BY_BATCH = "UNDER_VERIFICATION"

_PAID = frozenset({"ACCEPTED", "AUTHORISED", "CAPTURED"})
_RUNNING = frozenset({
    "AUTHORISED_TO_VALIDATE", "INITIAL", "SUSPENDED", "UNDER_VERIFICATION", "WAITING_AUTHORISATION",
    "WAITING_AUTHORISATION_TO_VALIDATE", "WAITING_FOR_PAYMENT",
})  # fmt: skip
_RESULT_OF_STATUS = {
    **dict.fromkeys((*_PAID, "AUTHORISED_TO_VALIDATE", "WAITING_AUTHORISATION"), "00"),
    "WAITING_AUTHORISATION_TO_VALIDATE": "00",
    "REFUSED": "05",
    "ABANDONED": "17",
    "NOT_CREATED": "30",
}


# --- Values --------------------------------------------------------------------------------------

Reader = Callable[[Any], str]


# What frameworks trim, which for some includes the invisible characters that pasted text begins with.
_EDGES = re.compile(r"\A[\s\ufeff\u200b\u200e]+|[\s\ufeff\u200b\u200e]+\Z")


def _text(value: Any) -> str:
    """Text or an integer as text; "" for anything else.

    Surrounding spaces go: widespread web frameworks trim form fields before the receiver sees
    them, and a signature over the spaces would then not match.
    """
    return _EDGES.sub("", _exact_text(value))


def _exact_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    # Half of a surrogate pair has no UTF-8 form; events with one are refused before they come here.
    return str(value).encode("utf-8", "replace").decode()


def _number(value: Any) -> str:
    text = _text(value)
    return str(int(text)) if re.fullmatch(r"[0-9]{1,15}", text) else ""


def _flag(value: Any) -> str:
    return {True: "1", False: "0", "1": "1", "0": "0"}.get(value, "") if isinstance(value, bool | int | str) else ""


def _card(value: Any) -> str:
    """A card number with at most its first six and last four digits, X between: 497010XXXXXX0055."""
    text = re.sub(r"[ -]", "", value) if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9Xx*•]{8,23}", text):
        return ""
    text = re.sub(r"[^0-9]", "X", text)
    first = 6 if len(text) >= 13 else 0
    return text[:first] + "X" * (len(text) - first - 4) + text[-4:]


def _moment(value: Any) -> str:
    """A date and time as YYYYMMDDHHMMSS in UTC, from that form or from ISO 8601 with its offset."""
    try:
        text = _text(value)
        if re.fullmatch(r"[0-9]{14}", text):
            return _compact(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC))
        moment = datetime.fromisoformat(text)
        return _compact(moment) if moment.tzinfo else ""
    except (ValueError, OverflowError):
        return ""


def _compact(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}{utc:%m%d%H%M%S}"


def _day(value: Any) -> str:
    """A day as YYYYMMDD, from that form or from ISO 8601."""
    try:
        day = date.fromisoformat(_text(value))
    except ValueError:
        return ""
    return f"{day.year:04}{day:%m%d}"


def _currency(value: Any) -> str:
    """The numeric code of an alphabetic or numeric ISO 4217 code."""
    text = _text(value).upper()
    if text in CURRENCIES:
        return CURRENCIES[text].numeric
    return text if text in _ALPHABETIC else ""


# Where several codes ever shared a number, the current one: the table lists the retired ones last.
_ALPHABETIC = {currency.numeric: code for code, currency in reversed(CURRENCIES.items())}


def _json(value: Any) -> str:
    return json_text(value) if isinstance(value, list | dict) and value else _text(value)


def _one_of(*values: str) -> Reader:
    def read(value: Any) -> str:
        text = _text(value).upper()
        return text if text in values else ""

    return read


@dataclass(frozen=True)
class Field:
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


def _fields() -> Iterator[Field]:
    def add(read: Reader, form: str, *names: str) -> Iterator[Field]:
        for name in names:
            name, *others = name.split("|")
            yield Field(name, read, (name, *others), form)

    yield Field("trans_id", _exact_text, ("transaction_id", "trans_id"), "text")
    yield from add(_one_of(*STATUSES), "status", "trans_status")
    yield from add(_one_of("DEBIT", "CREDIT"), "DEBIT or CREDIT", "operation_type")
    yield from add(_moment, "date and time", "trans_date", "effective_creation_date", "presentation_date")
    yield from add(_currency, "currency", "currency", "sub_currency")
    yield from add(
        _number, "number", "amount", "effective_amount", "capture_delay", "sequence_number", "expiry_month",
        "expiry_year", "nb_products", "sub_amount", "sub_init_amount", "sub_init_amount_number", "recurrence_number",
    )  # fmt: skip
    yield from add(_flag, "0 or 1", "validation_mode", "threeds_sign_valid")
    yield from add(_card, "masked card number", "card_number")
    yield from add(_day, "day", "sub_effect_date")
    yield from add(_json, "JSON", "payment_seq")
    yield from add(_one_of("INTERACTIVE", "SILENT"), "INTERACTIVE or SILENT", "action_mode")
    yield from add(_one_of("FULL", "MARK"), "FULL or MARK", "auth_mode")
    yield from add(_one_of("EC", "MOTO", "CC", "OTHER"), "EC, MOTO, CC or OTHER", "payment_src")
    yield from add(
        _text, "text", "trans_uuid", "page_action", "payment_config", "result", "extra_result", "payment_error",
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


FIELDS: tuple[Field, ...] = tuple(_fields())
# Fields whose end the merchant chooses, or that repeat.
_OPEN_ENDED = re.compile(r"ext_info_[A-Za-z0-9_]{1,64}|product_(?:amount|label|qty|ref|type|vat)[0-9]{1,3}")


def _values(facts: CallFacts) -> dict[str, str]:
    """What both formats say, under the names of the form fields without their prefix."""
    data = facts.data
    values: dict[str, str] = {}
    for field in FIELDS:
        for key in field.keys:
            text = field.read(data[key]) if key in data else ""
            if text:
                values[field.name] = text
                break
    extensions = sorted(key for key in data if _OPEN_ENDED.fullmatch(key) and _text(data[key]))
    values.update({key: _text(data[key]) for key in extensions[:MAX_EXTENSIONS]})
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
    values.setdefault("trans_date", _compact(facts.occurred_at))
    if meaning.creates:
        values.setdefault("effective_creation_date", _compact(facts.occurred_at))
    if "amount" in values:
        values.setdefault("effective_amount", values["amount"])
    if len(facts.contracts) == 1:
        values.setdefault("contract_used", _text(facts.contracts[0]))
    values.setdefault("trans_uuid", _uuid(facts, values))


def _uuid(facts: CallFacts, values: Mapping[str, str]) -> str:
    """A name of the transaction, the same in all its calls; its number is unique in a shop's day only."""
    transaction = values.get("trans_id")
    own = (transaction, values["trans_date"][:8], values["operation_type"]) if transaction else (facts.event_id,)
    return hashlib.sha256("\n".join((facts.site_id, facts.mode, *own)).encode("utf-8", "replace")).hexdigest()[:32]


# --- Form V1/V2 ----------------------------------------------------------------------------------


def form_fields(facts: CallFacts) -> dict[str, str]:
    """Every documented field the event can fill, by name; a field without value is left out.

    `vads_url_check_src`, `vads_hash` and `signature` come with each attempt (`form_call`).
    """
    fields = {f"vads_{name}": text for name, text in _values(facts).items()}
    fields.update(vads_ctx_mode=facts.mode, vads_site_id=facts.site_id, vads_version=FORM_VERSION)
    return dict(sorted(fields.items()))


def form_call(
    fields: dict[str, str], *, check_src: str, unique: str, key: str, algorithm: str, first: bool = True
) -> tuple[bytes, str]:
    """Sign one attempt of a form call.

    Args:
        fields: of `form_fields`.
        check_src: of `check_source`.
        unique: 64 hexadecimal characters that name this attempt, sent as `vads_hash`.
        key: the shop's key of the mode.
        algorithm: "HMAC-SHA-256" or "SHA-1".
        first: False on a retry and on a manual call, which lack what the platform does not store.

    Returns:
        The body and its content type.
    """
    signed = {name: text for name, text in fields.items() if first or name not in NOT_STORED}
    signed.update(vads_url_check_src=check_src, vads_hash=unique)
    signature = signing.form_signature(signed, key, algorithm)
    return _body([*sorted(signed.items()), ("signature", signature)])


# Text that the form encoding leaves as it is: most names and values, so most need no quoting.
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")


def _body(parameters: list[tuple[str, str]]) -> tuple[bytes, str]:
    pairs = (f"{_quoted(name)}={_quoted(text)}" for name, text in parameters)
    return "&".join(pairs).encode("ascii"), CONTENT_TYPE


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote_plus(text, encoding="utf-8")


# --- REST V4 -------------------------------------------------------------------------------------


def rest_answer(facts: CallFacts, *, server_date: datetime) -> dict[str, Any]:
    """The JSON of `kr-answer`, of type V4/Payment; what the event does not say is null.

    Args:
        server_date: when the answer is made, aware.
    """
    values = _values(facts)
    text = values.get
    status = text("trans_status", "")
    state = "PAID" if status in _PAID else "RUNNING" if status in _RUNNING else "UNPAID"
    amount, currency = _integer(text("amount")), _ALPHABETIC.get(text("currency", ""))
    metadata = {name.removeprefix("ext_info_"): values[name] for name in values if name.startswith("ext_info_")}
    created = _iso(text("effective_creation_date") or text("trans_date"))
    transaction = {
        "shopId": facts.site_id,
        "uuid": text("trans_uuid"),
        "amount": amount,
        "currency": currency,
        "paymentMethodType": "SDD" if text("card_brand") in ("SDD", "SEPA") else "CARD",
        "paymentMethodToken": text("identifier"),
        "status": state,
        "detailedStatus": status or None,
        "operationType": text("operation_type"),
        "effectiveStrongAuthentication": None,
        "creationDate": created,
        "errorCode": REFUSED_CODE if status == "REFUSED" else None,
        "errorMessage": None,
        "detailedErrorCode": text("auth_result") if status == "REFUSED" else None,
        "detailedErrorMessage": None,
        "metadata": metadata or None,
        "transactionDetails": _transaction_details(values, amount, currency, created),
        "_type": "V4/PaymentTransaction",
    }
    return {
        "shopId": facts.site_id,
        "orderCycle": "OPEN" if state == "RUNNING" else "CLOSED",
        "orderStatus": state,
        "serverDate": server_date.astimezone(UTC).isoformat(timespec="seconds"),
        "orderDetails": {
            "orderTotalAmount": amount,
            "orderEffectiveAmount": _integer(text("effective_amount")),
            "orderCurrency": currency,
            "mode": facts.mode,
            "orderId": text("order_id"),
            "metadata": metadata or None,
            "_type": "V4/OrderDetails",
        },
        "customer": _customer(values),
        "transactions": [transaction],
        "_type": ANSWER_TYPE,
    }


def _transaction_details(
    values: dict[str, str], amount: int | None, currency: str | None, created: str | None
) -> dict[str, Any]:
    text = values.get
    manual = text("validation_mode")
    return {
        "liabilityShift": text("warranty_result"),
        "effectiveAmount": _integer(text("effective_amount")),
        "effectiveCurrency": currency,
        "creationContext": "REFUND" if text("operation_type") == "CREDIT" else "CHARGE",
        "cardDetails": {
            "paymentSource": text("payment_src"),
            "manualValidation": {"1": "YES", "0": "NO"}.get(manual or ""),
            "expectedCaptureDate": _iso(text("presentation_date")),
            "effectiveBrand": text("card_brand"),
            "pan": text("card_number"),
            "expiryMonth": _integer(text("expiry_month")),
            "expiryYear": _integer(text("expiry_year")),
            "country": text("card_country"),
            "legacyTransId": text("trans_id"),
            "legacyTransDate": _iso(text("trans_date")),
            "authorizationResponse": {
                "amount": amount if text("auth_number") else None,
                "currency": currency if text("auth_number") else None,
                "authorizationDate": created if text("auth_number") else None,
                "authorizationNumber": text("auth_number"),
                "authorizationResult": text("auth_result"),
                "authorizationMode": text("auth_mode"),
                "_type": "V4/PaymentMethod/Details/Cards/CardAuthorizationResponse",
            },
            "_type": "V4/PaymentMethod/Details/CardDetails",
        },
        "subscriptionDetails": {"subscriptionId": text("subscription")} if text("subscription") else None,
        "parentTransactionUuid": None,
        "mid": text("contract_used"),
        "sequenceNumber": _integer(text("sequence_number")),
        "_type": "V4/TransactionDetails",
    }


_BILLING = {
    "address": "address", "address2": "address2", "category": "status", "cellPhoneNumber": "cell_phone",
    "city": "city", "country": "country", "district": "district", "firstName": "first_name",
    "identityCode": "national_id", "lastName": "last_name", "legalName": "legal_name", "phoneNumber": "phone",
    "state": "state", "streetNumber": "address_number", "title": "title", "zipCode": "zip",
}  # fmt: skip
_SHIPPING = {
    "address": "street", "address2": "street2", "category": "status", "city": "city", "country": "country",
    "deliveryCompanyName": "delivery_company_name", "district": "district", "firstName": "first_name",
    "lastName": "last_name", "legalName": "legal_name", "phoneNumber": "phone_num", "shippingMethod": "type",
    "shippingSpeed": "speed", "state": "state", "streetNumber": "street_number", "zipCode": "zip",
}  # fmt: skip


def _customer(values: dict[str, str]) -> dict[str, Any]:
    billing = {name: values.get(f"cust_{field}") for name, field in _BILLING.items()}
    shipping = {name: values.get(f"ship_to_{field}") for name, field in _SHIPPING.items()}
    return {
        "billingDetails": {**billing, "language": values.get("language"), "_type": "V4/Customer/BillingDetails"},
        "email": values.get("cust_email"),
        "reference": values.get("cust_id"),
        "shippingDetails": {**shipping, "_type": "V4/Customer/ShippingDetails"},
        "_type": "V4/Customer/Customer",
    }


def _integer(text: str | None) -> int | None:
    return int(text) if text else None


def _iso(text: str | None) -> str | None:
    """ISO 8601 of a YYYYMMDDHHMMSS in UTC."""
    return datetime.strptime(f"{text}+0000", "%Y%m%d%H%M%S%z").isoformat() if text else None


def json_text(value: Any) -> str:
    r"""JSON that hashes alike at every receiver.

    Receivers turn `\/` into `/` before hashing, and some strip backslashes: so a slash is never
    escaped, a backslash of a value is written \u005c (a slash after it would look escaped), and
    letters outside ASCII stand as they are, so that only quotes and control characters cost a
    backslash.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("\\\\", "\\u005c")


def rest_call(answer: dict[str, Any], *, password: str) -> tuple[bytes, str]:
    """Sign one attempt of a REST call.

    Args:
        answer: of `rest_answer`.
        password: the shop's REST password of the mode.

    Returns:
        The body and its content type.
    """
    text = json_text(answer)
    return _body(
        [
            ("kr-hash", signing.rest_hash(text, password)),
            ("kr-hash-algorithm", HASH_ALGORITHM),
            ("kr-hash-key", "password"),
            ("kr-answer-type", ANSWER_TYPE),
            ("kr-answer", text),
        ]
    )
