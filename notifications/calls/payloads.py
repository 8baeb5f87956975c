"""The fields and body of a call to a notification URL: form V1/V2 and REST V4 (docs/ipn.md).

The content (`form_fields`, `rest_answer`) is JSON-able and frozen when an event is accepted; what
changes with each attempt (`vads_url_check_src`, `vads_hash`, signatures) is added by `form_call`
and `rest_call` when it is sent.

Pure: no database, no settings, no clock.
"""

from datetime import UTC, datetime
from typing import Any

from notifications.calls import signing, urlencoded
from notifications.calls.fields import PAID, CallFacts, values_of
from notifications.calls.texts import ALPHABETIC, json_text

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


# --- Form V1/V2 ----------------------------------------------------------------------------------


def form_fields(facts: CallFacts) -> dict[str, str]:
    """Every documented field the event can fill, by name; a field without value is left out.

    `vads_url_check_src`, `vads_hash` and `signature` come with each attempt (`form_call`).
    """
    fields = {f"vads_{name}": text for name, text in values_of(facts).items()}
    fields.update(vads_ctx_mode=facts.mode, vads_site_id=facts.site_id, vads_version=FORM_VERSION)
    return dict(sorted(fields.items()))


def signed_fields(fields: dict[str, str], *, check_src: str, unique: str, first: bool = True) -> dict[str, str]:
    """The fields of one attempt of a form call, all of which are signed.

    Args:
        fields: of `form_fields`.
        check_src: of `check_source`.
        unique: 64 hexadecimal characters that name this attempt, sent as `vads_hash`.
        first: False on a retry and on a manual call, which lack what the platform does not store.
    """
    signed = {name: text for name, text in fields.items() if first or name not in NOT_STORED}
    signed.update(vads_url_check_src=check_src, vads_hash=unique)
    return signed


def form_body(signed: dict[str, str], *, key: str, algorithm: str) -> tuple[bytes, str]:
    """The body of a form call and its content type.

    Args:
        signed: of `signed_fields`.
        key: the shop's key of the mode.
        algorithm: "HMAC-SHA-256" or "SHA-1".
    """
    pairs = sorted(signed.items())
    values = [value for name, value in pairs if name.startswith(signing.PREFIX)]
    return urlencoded.body([*pairs, ("signature", signing.signature_of(values, key, algorithm))]), CONTENT_TYPE


def form_call(
    fields: dict[str, str], *, check_src: str, unique: str, key: str, algorithm: str, first: bool = True
) -> tuple[bytes, str]:
    """Sign one attempt of a form call: `signed_fields` and `form_body` in one."""
    signed = signed_fields(fields, check_src=check_src, unique=unique, first=first)
    return form_body(signed, key=key, algorithm=algorithm)


# --- REST V4 -------------------------------------------------------------------------------------

_RUNNING = frozenset({
    "AUTHORISED_TO_VALIDATE", "INITIAL", "SUSPENDED", "UNDER_VERIFICATION", "WAITING_AUTHORISATION",
    "WAITING_AUTHORISATION_TO_VALIDATE", "WAITING_FOR_PAYMENT",
})  # fmt: skip


def rest_answer(facts: CallFacts, *, server_date: datetime) -> dict[str, Any]:
    """The JSON of `kr-answer`, of type V4/Payment; what the event does not say is null.

    Args:
        server_date: when the answer is made, aware.
    """
    values = values_of(facts)
    text = values.get
    status = text("trans_status", "")
    state = "PAID" if status in PAID else "RUNNING" if status in _RUNNING else "UNPAID"
    amount, currency = _integer(text("amount")), ALPHABETIC.get(text("currency", ""))
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


def rest_hash(answer: dict[str, Any], password: str) -> str:
    """The `kr-hash` of an answer under a password."""
    return signing.rest_hash(json_text(answer), password)


def rest_call(answer: dict[str, Any], *, password: str) -> tuple[bytes, str]:
    """Sign one attempt of a REST call.

    Args:
        answer: of `rest_answer`.
        password: the shop's REST password of the mode.

    Returns:
        The body and its content type.
    """
    text = json_text(answer)
    parameters = [
        ("kr-hash", signing.rest_hash(text, password)),
        ("kr-hash-algorithm", HASH_ALGORITHM),
        ("kr-hash-key", "password"),
        ("kr-answer-type", ANSWER_TYPE),
        ("kr-answer", text),
    ]
    return urlencoded.body(parameters), CONTENT_TYPE
