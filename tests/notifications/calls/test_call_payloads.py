"""What notification calls say about an event, in both formats."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from backoffice.text.currencies import CURRENCIES, exponent
from notifications.calls import fields
from notifications.calls.fields import CallFacts, check_source
from notifications.calls.payloads import call_format, form_call, form_fields, rest_answer
from notifications.core.catalogue import SOURCES_OF_EVENT, TRIGGERS

OCCURRED = datetime(2026, 11, 23, 11, 0, 5, tzinfo=timezone(timedelta(hours=1)))
SERVED = datetime(2026, 11, 23, 10, 0, 6, tzinfo=UTC)
UNIQUE = "ab" * 32


def facts(trigger: str = "payment.accepted", **data: Any) -> CallFacts:
    return CallFacts(trigger, "TEST", "10000001", OCCURRED, "evt-1", data)


# --- Which call ----------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [None, *SOURCES_OF_EVENT])
def test_the_format_follows_the_documented_table(source: str | None) -> None:
    given = {urls: call_format(source, has_form=urls[0], has_rest=urls[1]) for urls in [(1, 0), (0, 1), (1, 1), (0, 0)]}
    if source == "JS":
        assert given == {(1, 0): None, (0, 1): "rest", (1, 1): "rest", (0, 0): None}
    else:
        assert given == {(1, 0): "form", (0, 1): "rest", (1, 1): "form", (0, 0): None}


@pytest.mark.parametrize(
    ("trigger", "source", "expected"),
    [
        ("payment.accepted", None, "PAY"),
        ("payment.refused", "FORM", "PAY"),
        ("payment.accepted", "JS", "PAY"),
        ("payment.abandoned", "FORM", "PAY"),
        ("token.created", "FORM", "PAY"),
        ("payment.accepted", "BO", "MERCH_BO"),
        ("token.updated", "BO", "MERCH_BO"),
        ("payment.accepted", "PAYMENT_ORDER", "PAYMENT_ORDER"),
        ("payment.refused", "DCF", "DCF"),
        ("payment.accepted", "FILE", "FILE"),
        ("payment.accepted", "REC", "REC"),
        ("subscription.instalment_created", None, "REC"),
        ("transaction.authorised_by_batch", "BATCH", "BATCH_AUTO"),
        ("transaction.declined_by_batch", None, "BATCH_AUTO"),
        ("transaction.authorised_by_batch", "PAYMENT_ORDER", "BATCH_AUTO"),
        ("transaction.modified", "BATCH", "BATCH"),
        ("transaction.modified", None, "BATCH"),
        ("transaction.modified", "BO", "MERCH_BO"),
        ("capture.sent", "FORM", "BATCH"),
        ("transaction.refunded", None, "MERCH_BO"),
        ("transaction.cancelled", "BO", "MERCH_BO"),
        ("transaction.validated", "PAYMENT_ORDER", "MERCH_BO"),
        ("transaction.refunded", "BATCH", "BATCH"),
    ],
)
def test_the_source_of_a_first_call_follows_trigger_and_source(trigger: str, source: str | None, expected: str) -> None:
    assert check_source(trigger, source) == expected
    assert check_source(trigger, source, retry=True) == "RETRY"
    assert check_source(trigger, source, manual=True) == "BO"
    assert check_source(trigger, source, retry=True, manual=True) == "BO"


# --- Form ----------------------------------------------------------------------------------------


def test_a_payment_fills_the_documented_fields() -> None:
    fields = form_fields(
        facts(
            transaction_id="a1b2c3", order_id="CMD-7", amount=1990, currency="EUR", buyer_email="léa@x.example",
            source="FORM", contract="5785350", network="CB", card_number="4970 1012 3456 0055", validation_mode=1,
            capture_delay=3, cust_zip=75002, presentation_date="2026-11-26T01:00:00+02:00", ext_info_Panier="é+&=\n1",
            trans_uuid="c97b7e6f3dbc4c239baf283654f34710",
        )
    )  # fmt: skip
    assert fields == {
        "vads_amount": "1990",
        "vads_capture_delay": "3",
        "vads_card_brand": "CB",
        "vads_card_number": "497010XXXXXX0055",
        "vads_contract_used": "5785350",
        "vads_ctx_mode": "TEST",
        "vads_currency": "978",
        "vads_cust_email": "léa@x.example",
        "vads_cust_zip": "75002",
        "vads_effective_amount": "1990",
        "vads_effective_creation_date": "20261123100005",
        "vads_ext_info_Panier": "é+&=\n1",
        "vads_operation_type": "DEBIT",
        "vads_order_id": "CMD-7",
        "vads_page_action": "PAYMENT",
        "vads_payment_config": "SINGLE",
        "vads_presentation_date": "20261125230000",
        "vads_result": "00",
        "vads_site_id": "10000001",
        "vads_trans_date": "20261123100005",
        "vads_trans_id": "a1b2c3",
        "vads_trans_status": "AUTHORISED",
        "vads_trans_uuid": "c97b7e6f3dbc4c239baf283654f34710",
        "vads_validation_mode": "1",
        "vads_version": "V2",
    }
    assert list(fields) == sorted(fields)


@pytest.mark.parametrize(
    ("trigger", "source", "status", "operation", "result", "page_action"),
    [
        ("payment.accepted", None, "AUTHORISED", "DEBIT", "00", "PAYMENT"),
        ("payment.accepted", "BO", "AUTHORISED", "DEBIT", "00", None),
        ("payment.refused", None, "REFUSED", "DEBIT", "05", "PAYMENT"),
        ("payment.abandoned", None, "ABANDONED", "DEBIT", "17", "PAYMENT"),
        ("payment.pending_external", None, "INITIAL", "DEBIT", None, "PAYMENT"),
        ("transaction.refunded", "BO", "AUTHORISED", "CREDIT", "00", None),
        ("transaction.cancelled", "BO", "CANCELLED", "DEBIT", None, None),
        ("transaction.declined_by_batch", "BATCH", "REFUSED", "DEBIT", "05", None),
        ("transaction.authorised_by_batch", "BATCH", "AUTHORISED", "DEBIT", "00", None),
        ("transaction.modified", "BO", "AUTHORISED", "DEBIT", "00", None),
        ("transaction.modified", "BATCH", "UNDER_VERIFICATION", "DEBIT", None, None),
        ("transaction.validated", "BO", "AUTHORISED", "DEBIT", "00", None),
        ("transaction.duplicated", "BO", "AUTHORISED", "DEBIT", "00", None),
        ("subscription.instalment_created", "REC", "WAITING_AUTHORISATION", "DEBIT", "00", None),
        ("token.created", None, "ACCEPTED", None, "00", "REGISTER"),
        ("token.updated", "BO", "ACCEPTED", None, "00", None),
        ("token.updated", None, "ACCEPTED", None, "00", "REGISTER_UPDATE"),
        ("subscription.created", None, "ACCEPTED", None, "00", "REGISTER_SUBSCRIBE"),
        ("capture.sent", "BATCH", "CAPTURED", "DEBIT", "00", None),
        ("form.invalid", None, "NOT_CREATED", None, "30", None),
        ("production_key.regenerated", "BO", None, None, None, None),
    ],
)
def test_the_trigger_says_what_the_event_does_not(
    trigger: str, source: str | None, status: str, operation: str | None, result: str | None, page_action: str | None
) -> None:
    fields = form_fields(facts(trigger, **({"source": source} if source else {})))
    names = ("trans_status", "operation_type", "result", "page_action")
    assert [fields.get(f"vads_{name}") for name in names] == [status, operation, result, page_action]


def test_every_trigger_has_a_meaning() -> None:
    assert set(fields.MEANINGS) == {trigger.code for trigger in TRIGGERS}
    assert {meaning.status for meaning in fields.MEANINGS.values()} - {""} <= set(fields.STATUSES)


def test_a_token_or_subscription_with_an_amount_is_a_debit() -> None:
    assert form_fields(facts("token.created", amount=100))["vads_operation_type"] == "DEBIT"
    assert "vads_operation_type" not in form_fields(facts("production_key.regenerated", amount=100))


@pytest.mark.parametrize("source", [None, *SOURCES_OF_EVENT])
def test_only_what_came_through_a_payment_page_has_a_page_action(source: str | None) -> None:
    fields = form_fields(facts(**({"source": source} if source else {})))
    expected = source not in ("BO", "BATCH", "REC", "FILE")
    assert ("vads_page_action" in fields, "vads_payment_config" in fields) == (expected, expected)


@pytest.mark.parametrize("trigger", [trigger.code for trigger in TRIGGERS])
def test_only_what_creates_a_transaction_dates_its_creation(trigger: str) -> None:
    creates = (trigger.startswith("payment.") and trigger != "payment.silence") or trigger in (
        "transaction.refunded", "transaction.duplicated", "subscription.instalment_created",
    )  # fmt: skip
    assert ("vads_effective_creation_date" in form_fields(facts(trigger))) == creates


def test_the_event_knows_better_than_the_trigger_unless_it_says_nonsense() -> None:
    fields = form_fields(facts(trans_status="authorised_to_validate", operation_type="CREDIT", result="02"))
    assert (fields["vads_trans_status"], fields["vads_operation_type"], fields["vads_result"]) == (
        "AUTHORISED_TO_VALIDATE", "CREDIT", "02",
    )  # fmt: skip
    fields = form_fields(facts(trans_status="PAID", operation_type=7))
    assert (fields["vads_trans_status"], fields["vads_operation_type"]) == ("AUTHORISED", "DEBIT")


def test_a_documented_name_wins_over_our_own() -> None:
    fields = form_fields(facts(buyer_email="a@x.example", cust_email="b@x.example", network="CB", card_brand="VISA"))
    assert (fields["vads_cust_email"], fields["vads_card_brand"]) == ("b@x.example", "VISA")


def test_data_that_is_not_documented_goes_nowhere() -> None:
    data = {
        "secret": "s", "vads_amount": "1", "site_id": "99999999", "ctx_mode": "PRODUCTION", "version": "V1", "hash": "h",
        "url_check_src": "PAY", "signature": "x", "ext_info_": "x", "ext_info_a-b": "x", "ext_info_a[b]": "x",
        "instalments": True, "reason": "r", "order_id": {"a": 1}, "order_info": ["x"], "order_info2": True,
        "order_info3": 1.5, "cust_name": None, "cust_city": "  ", "amount": "-5", "currency": "ZZZ", "expiry_year": "x",
    }  # fmt: skip
    call = facts(**data)
    assert form_fields(call) == {
        name: value for name, value in form_fields(facts()).items() if name != "vads_payment_config"
    }
    expected = rest_answer(facts(), server_date=SERVED)
    assert rest_answer(call, server_date=SERVED) == expected


def test_the_transaction_id_is_sent_unchanged_and_other_text_without_spaces_around() -> None:
    fields = form_fields(facts(transaction_id=" 012 ", order_id="\u00a0\ufeff CMD\u200b 7\n\u200b"))
    assert (fields["vads_trans_id"], fields["vads_order_id"]) == (" 012 ", "CMD\u200b 7")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("4970101234560055", "497010XXXXXX0055"),
        ("497010XXXXXX0055", "497010XXXXXX0055"),
        ("4970-10**-****-0055", "497010XXXXXX0055"),
        ("4970101234567890123", "497010XXXXXXXXX0123"),
        ("123456789012", "XXXXXXXX9012"),
        ("12345678", "XXXX5678"),
        ("1234567", None),
        ("FR7630001007941234567890185", None),
        (4970101234560055, None),
        ("٤٩٧٠١٠١٢٣٤٥٦٠٠٥٥", None),
    ],
)
def test_a_card_number_shows_at_most_its_first_six_and_last_four_digits(given: Any, sent: str | None) -> None:
    call = facts(card_number=given)
    assert form_fields(call).get("vads_card_number") == sent
    card = rest_answer(call, server_date=SERVED)["transactions"][0]["transactionDetails"]["cardDetails"]
    assert card["pan"] == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("20261123100005", "20261123100005"),
        ("2026-11-23T10:00:05Z", "20261123100005"),
        ("2026-11-23T10:00:05.9-05:00", "20261123150005"),
        ("2026-11-23T10:00:05", None),
        ("20261323100005", None),
        ("0001-01-01T00:00:00+14:00", None),
        (True, None),
    ],
)
def test_dates_are_sent_in_utc_with_fourteen_digits(given: Any, sent: str | None) -> None:
    assert form_fields(facts(presentation_date=given)).get("vads_presentation_date") == sent


@pytest.mark.parametrize(("given", "sent"), [("2026-12-01", "20261201"), ("20261201", "20261201"), ("soon", None)])
def test_days_are_sent_with_eight_digits(given: str, sent: str | None) -> None:
    assert form_fields(facts(sub_effect_date=given)).get("vads_sub_effect_date") == sent


def test_the_only_contract_of_the_shop_is_the_one_used() -> None:
    one, two = ("5785350",), ("5785350", "6969696")
    assert form_fields(replace(facts(), contracts=one))["vads_contract_used"] == "5785350"
    assert "vads_contract_used" not in form_fields(replace(facts(), contracts=two))
    assert form_fields(replace(facts(contract="1"), contracts=one))["vads_contract_used"] == "1"


def test_too_many_extensions_are_cut_by_name() -> None:
    fields = form_fields(facts(**{f"ext_info_{number:03}": number for number in reversed(range(150))}))
    assert [name for name in fields if "ext_info" in name] == [f"vads_ext_info_{number:03}" for number in range(100)]


def test_a_transaction_keeps_one_name_and_another_gets_another() -> None:
    def uuid(call: CallFacts) -> str:
        return form_fields(call)["vads_trans_uuid"]

    first = facts(transaction_id="012345")
    assert len(uuid(first)) == 32
    assert uuid(replace(first, trigger="transaction.cancelled", event_id="evt-2")) == uuid(first)
    others = [
        replace(first, trigger="transaction.refunded"),
        replace(first, occurred_at=OCCURRED + timedelta(days=1)),
        replace(first, site_id="10000002"),
        replace(first, mode="PRODUCTION"),
        facts(transaction_id="012346"),
        facts(),
        replace(facts(), event_id="evt-2"),
    ]
    assert len({uuid(call) for call in [first, *others]}) == 8
    later = replace(
        facts(transaction_id="012345", trans_date="20261123100005"), occurred_at=OCCURRED + timedelta(days=9)
    )
    assert uuid(later) == uuid(first)
    assert rest_answer(first, server_date=SERVED)["transactions"][0]["uuid"] == uuid(first)


@pytest.mark.parametrize("first", [True, False])
def test_a_later_call_lacks_what_the_platform_does_not_store(first: bool) -> None:
    fields = form_fields(facts(action_mode="INTERACTIVE"))
    body, _ = form_call(fields, check_src="PAY", unique=UNIQUE, key="k", algorithm="SHA-1", first=first)
    names = [pair.split("=")[0] for pair in body.decode().split("&")]
    missing = {*fields, "vads_hash", "vads_url_check_src", "signature"} - set(names)
    assert missing == (set() if first else {"vads_page_action", "vads_payment_config", "vads_action_mode"})


# --- REST ----------------------------------------------------------------------------------------


def test_the_answer_of_a_rest_call_names_the_payment() -> None:
    answer = rest_answer(
        facts(
            "payment.refused", transaction_id="a1b2c3", order_id="CMD/7", amount=1990, currency="JPY", source="JS",
            buyer_email="b@x.example", cust_first_name="Zoé", ship_to_street="1 rue \\/", auth_number="3fbbc6",
            auth_result="51", card_number="497010XXXXXX0055", expiry_month=6, expiry_year="2031", contract="6969696",
            sequence_number=1, ext_info_a="1", validation_mode="0", identifier="tok", subscription="sub",
        ),
        server_date=SERVED,
    )  # fmt: skip
    transaction = answer["transactions"][0]
    details = transaction["transactionDetails"]
    card = details["cardDetails"]
    assert {name: answer[name] for name in ("shopId", "orderCycle", "orderStatus", "serverDate", "_type")} == {
        "shopId": "10000001",
        "orderCycle": "CLOSED",
        "orderStatus": "UNPAID",
        "serverDate": "2026-11-23T10:00:06+00:00",
        "_type": "V4/Payment",
    }
    assert answer["orderDetails"] == {
        "orderTotalAmount": 1990,
        "orderEffectiveAmount": 1990,
        "orderCurrency": "JPY",
        "mode": "TEST",
        "orderId": "CMD/7",
        "metadata": {"a": "1"},
        "_type": "V4/OrderDetails",
    }
    assert answer["customer"]["email"] == "b@x.example"
    assert answer["customer"]["billingDetails"]["firstName"] == "Zoé"
    assert answer["customer"]["shippingDetails"]["address"] == "1 rue \\/"
    assert (transaction["status"], transaction["detailedStatus"], transaction["operationType"]) == (
        "UNPAID", "REFUSED", "DEBIT",
    )  # fmt: skip
    assert (transaction["amount"], transaction["currency"]) == (1990, "JPY")
    assert (transaction["errorCode"], transaction["detailedErrorCode"]) == ("ACQ_001", "51")
    assert (transaction["creationDate"], transaction["paymentMethodToken"]) == ("2026-11-23T10:00:05+00:00", "tok")
    assert (details["mid"], details["sequenceNumber"]) == ("6969696", 1)
    assert details["subscriptionDetails"] == {"subscriptionId": "sub"}
    assert (card["legacyTransId"], card["legacyTransDate"]) == ("a1b2c3", "2026-11-23T10:00:05+00:00")
    assert (card["pan"], card["expiryMonth"], card["expiryYear"]) == ("497010XXXXXX0055", 6, 2031)
    assert (card["manualValidation"], card["authorizationResponse"]["authorizationNumber"]) == ("NO", "3fbbc6")


@pytest.mark.parametrize(
    ("status", "state", "cycle"),
    [
        ("AUTHORISED", "PAID", "CLOSED"),
        ("CAPTURED", "PAID", "CLOSED"),
        ("ACCEPTED", "PAID", "CLOSED"),
        ("AUTHORISED_TO_VALIDATE", "RUNNING", "OPEN"),
        ("WAITING_AUTHORISATION", "RUNNING", "OPEN"),
        ("INITIAL", "RUNNING", "OPEN"),
        ("REFUSED", "UNPAID", "CLOSED"),
        ("CANCELLED", "UNPAID", "CLOSED"),
        ("EXPIRED", "UNPAID", "CLOSED"),
        ("CAPTURE_FAILED", "UNPAID", "CLOSED"),
    ],
)
def test_the_state_of_the_order_follows_the_status(status: str, state: str, cycle: str) -> None:
    answer = rest_answer(facts(trans_status=status), server_date=SERVED)
    assert (answer["orderStatus"], answer["orderCycle"]) == (state, cycle)
    assert (answer["transactions"][0]["status"], answer["transactions"][0]["detailedStatus"]) == (state, status)
    assert answer["transactions"][0]["errorCode"] == ("ACQ_001" if status == "REFUSED" else None)


def test_a_number_is_a_number_and_a_code_has_no_case() -> None:
    fields = form_fields(facts(expiry_month="06", sequence_number=True, currency="eur", auth_mode="full"))
    assert (fields["vads_expiry_month"], fields["vads_currency"], fields["vads_auth_mode"]) == ("6", "978", "FULL")
    assert "vads_sequence_number" not in fields


def test_half_a_character_does_not_keep_a_call_from_being_made() -> None:
    fields = form_fields(facts(order_id="a\ud800b", transaction_id="\udc00"))
    assert (fields["vads_order_id"], fields["vads_trans_id"]) == ("a?b", "?")


def test_a_refund_by_rest_is_one_and_claims_no_authorisation_it_does_not_know() -> None:
    answer = rest_answer(
        facts("transaction.refunded", amount=500, currency="EUR", source="BO", validation_mode=1),
        server_date=OCCURRED,
    )
    transaction = answer["transactions"][0]
    details = transaction["transactionDetails"]
    assert answer["serverDate"] == "2026-11-23T10:00:05+00:00"
    assert (transaction["operationType"], details["creationContext"]) == ("CREDIT", "REFUND")
    assert details["cardDetails"]["manualValidation"] == "YES"
    authorisation = details["cardDetails"]["authorizationResponse"]
    assert {name: value for name, value in authorisation.items() if name != "_type"} == dict.fromkeys(
        ("amount", "currency", "authorizationDate", "authorizationNumber", "authorizationResult", "authorizationMode")
    )
    answer = rest_answer(facts(amount=500, currency="EUR", auth_number="3fbbc6"), server_date=SERVED)
    details = answer["transactions"][0]["transactionDetails"]
    authorisation = details["cardDetails"]["authorizationResponse"]
    assert (authorisation["amount"], authorisation["currency"], authorisation["authorizationDate"]) == (
        500, "EUR", "2026-11-23T10:00:05+00:00",
    )  # fmt: skip
    assert details["creationContext"] == "CHARGE"


@pytest.mark.parametrize(("network", "method"), [("CB", "CARD"), ("SEPA", "SDD"), ("SDD", "SDD"), (None, "CARD")])
def test_a_direct_debit_is_no_card(network: str | None, method: str) -> None:
    answer = rest_answer(facts(**({"network": network} if network else {})), server_date=SERVED)
    assert answer["transactions"][0]["paymentMethodType"] == method


@pytest.mark.parametrize("trigger", [trigger.code for trigger in TRIGGERS])
def test_every_answer_and_every_form_can_be_stored_as_json(trigger: str) -> None:
    call = facts(trigger)
    for content in (form_fields(call), rest_answer(call, server_date=SERVED)):
        assert json.loads(json.dumps(content)) == content


# --- Currencies ----------------------------------------------------------------------------------


def test_the_table_of_currencies_is_well_formed() -> None:
    assert len(CURRENCIES) == 193
    assert all(len(code) == 3 and code.isupper() and code.isalpha() for code in CURRENCIES)
    assert all(len(entry.numeric) == 3 and entry.numeric.isdigit() for entry in CURRENCIES.values())
    numbers = Counter(entry.numeric for entry in CURRENCIES.values())
    # The Caribbean guilder took over the number of the currency it replaced.
    assert [number for number, count in numbers.items() if count > 1] == ["532"]
    answer = rest_answer(facts(currency="XCG"), server_date=SERVED)
    assert answer["orderDetails"]["orderCurrency"] == "XCG"


@pytest.mark.parametrize(
    ("code", "numeric", "decimals"),
    [
        ("EUR", "978", 2), ("USD", "840", 2), ("ALL", "008", 2), ("JPY", "392", 0), ("XPF", "953", 0), ("UGX", "800", 0),
        ("KWD", "414", 3), ("TND", "788", 3), ("CLF", "990", 4), ("BGN", "975", 2), ("XCG", "532", 2),
    ],
)  # fmt: skip
def test_a_currency_has_its_number_and_its_decimals(code: str, numeric: str, decimals: int) -> None:
    assert form_fields(facts(currency=code))["vads_currency"] == numeric
    assert exponent(code) == decimals
    assert form_fields(facts(sub_currency=numeric))["vads_sub_currency"] == numeric


def test_an_unknown_currency_counts_two_decimals() -> None:
    assert exponent("ZZZ") == 2
