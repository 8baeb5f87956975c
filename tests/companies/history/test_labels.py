"""Every key that the history, the journal and the pages for staff can show has words: no code reaches a reader."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.utils import translation

from companies.history import entries, sentences, values
from companies.models import AuditEntry
from notifications.core import failures, wording
from notifications.core.resolver import Decision
from notifications.models import Delivery, IncidentUpdate
from shops.models import PaymentOrder

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
APPS = ("backoffice", "companies", "notifications", "shops")


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    for app in APPS:
        for path in sorted((Path(settings.BASE_DIR) / app).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    if called == name:
                        yield f"{path.relative_to(settings.BASE_DIR)}:{node.lineno}", node


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((item.value for item in call.keywords if item.arg == name), None)


def texts(node: ast.expr | None) -> set[str]:
    """The whole texts that an expression can come to, as far as they are written there."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    return set()


def is_raw(label: str, name: str) -> bool:
    return label.casefold().replace("_", " ") == name.casefold().replace("_", " ") and "_" in name or label == name


# --- History --------------------------------------------------------------------------------------

# Words that are the same as their key.
NEVER_AUDITED = {"cc_addresses", "to_addresses", "http_status"}
SAME = {"port", "mode", "version", "url", "conditions", "impact"}


def test_every_audited_field_has_a_label() -> None:
    raw = set()
    for where, call in calls("record"):
        changes = keyword(call, "changes")
        if isinstance(changes, ast.Call) and changes.args:
            changes = changes.args[0]
        for key in getattr(changes, "keys", ()):
            for name in texts(key):
                labels = {values.field_label(kind, name) for kind in ("", *values.MODELS)}
                if name not in SAME and all(is_raw(label.lower(), name) for label in labels):
                    raw.add(f"{where}: {name} → {labels}")
    assert not raw, "\n".join(sorted(raw))


@pytest.mark.parametrize("kind", sorted(values.MODELS))
def test_every_column_that_a_service_can_change_has_a_label(kind: str) -> None:
    raw = set()
    for field in apps.get_model(values.MODELS[kind])._meta.concrete_fields:
        if field.editable and not field.auto_created and field.name not in {"id", "token"} | NEVER_AUDITED:
            label = values.field_label(kind, field.name)
            if "_" in label or (is_raw(label.lower(), field.name) and field.name not in SAME | {"notification"}):
                raw.add(f"{field.name} → {label}")
    assert not raw, raw


def test_only_the_name_of_a_person_is_a_last_name() -> None:
    """« nom » is what a thing is called as well; English has two words for it."""
    with translation.override("en"):
        for kind in values.MODELS:
            for field in apps.get_model(values.MODELS[kind])._meta.concrete_fields:
                label = entries.field_label(kind, field.name)
                assert (label.lower() == "last name") == (field.name == "last_name"), (kind, field.name, label)
        assert entries.field_label("group", "name") == "Name"


def test_every_action_has_a_sentence() -> None:
    known = set(sentences.ACTIONS)
    unknown = {
        f"{where}: {name}"
        for where, call in calls("record")
        for name in texts(keyword(call, "action"))
        if name not in known
    }
    assert not unknown, unknown


def test_every_program_that_writes_history_has_a_name() -> None:
    named = {name for _where, call in calls("command") if call.args for name in texts(call.args[0])}
    assert named - {"demo", "test"} <= set(entries._PROGRAMS), named
    entry = AuditEntry(actor_label="provision", action="shop.created", object_type="shop", object_label="Lyon")
    assert entries.actor_words(entry) != "provision"


@pytest.mark.parametrize(
    "kind, changes, shown",
    [
        ("paymentorder", {"amount": [4990, 5000], "currency": ["EUR", "EUR"]}, "50,00 EUR"),
        ("paymentorder", {"valid_until": ["2026-11-01", "2026-12-24"]}, "24 décembre 2026"),
        ("consistencyreport", {"errors": [None, 3]}, "3"),
        ("shop", {"rules": [None, ["ipn-end"]]}, "URL de notification à la fin du paiement"),
        ("newsletter", {"audience": [None, {"references": ["a", "b"]}]}, "a; b"),
        ("incident", {"state": [None, "identified"]}, str(IncidentUpdate.State("identified").label)),
        ("billingdocument", {"gross": [None, "25.06 EUR"]}, "25,06 EUR"),
        ("notificationrule", {"recipients": [[], ["@shop_manager", "a@b.fr"]]}, "E-mail gestionnaire; a@b.fr"),
        ("datacollectionform", {"field.phone": ["", "Téléphone · facultatif · 40 caractères au plus"]}, "Téléphone"),
    ],
)
def test_a_value_is_shown_as_people_write_it(kind: str, changes: dict[str, Any], shown: str) -> None:
    entry = AuditEntry(object_type=kind, changes=changes, action="x.updated")
    label, _before, after = entries.changes_in_words(entry)[0]
    assert shown in after.replace("\xa0", " ").replace("\u202f", " ")
    assert "_" not in label and label[:1].isupper()


def test_an_amount_without_its_currency_takes_that_of_the_order() -> None:
    from tests.factories import PaymentOrderFactory

    order: PaymentOrder = PaymentOrderFactory(amount=4990, currency="JPY")
    entry = AuditEntry(object_type="paymentorder", object_id=str(order.pk), changes={"amount": [4990, 5000]})
    assert entries.changes_in_words(entry)[0][2].replace("\u202f", " ").replace("\xa0", " ") == "5 000 JPY"


# --- Events, statuses, reasons --------------------------------------------------------------------


def test_every_event_type_that_is_published_has_a_label() -> None:
    published = {name for _where, call in calls("publish") for name in texts(keyword(call, "type"))}
    assert len(published) > 15
    for name in published:
        assert wording.trigger_label(name) != name, name


def test_every_status_and_reason_has_words() -> None:
    for status in Delivery.Status:
        assert str(status.label) != status.value
    for code in wording.REASONS:
        assert code not in wording.reason(code, {})


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error, sentence",
    [
        ("550 5.1.1 <a@b.example>: Recipient address rejected: User unknown", "n'existe pas ou plus"),
        ("552 5.2.2 Mailbox full", "est pleine"),
        ("451 4.7.1 Greylisting in action", "réessayer plus tard"),
        ("554 5.7.1 Message rejected as spam", "indésirable"),
        ("552 5.3.4 Message too big for system", "trop volumineux"),
        ("gaierror: [Errno -2] Name or service not known", "son nom est inconnu"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "refuse la connexion"),
        ("TimeoutError: timed out", "pas répondu à temps"),
        ("SSLCertVerificationError: certificate verify failed", "chiffrée"),
        ("connection closed by the server (Connection unexpectedly closed)", "interrompue"),
        ("450 not now", "pour l'instant"),
        ("599 no", "refuse ce message"),
        ("[answer unknown] no answer to the message (TimeoutError: timed out)", "il est peut-être arrivé"),
        ("something nobody has seen", "L'envoi a échoué"),
    ],
)
def test_an_error_of_a_mail_is_a_sentence(error: str, sentence: str) -> None:
    assert sentence in failures.sentence(error, "dead")


def test_why_nothing_left_is_told_in_the_language_of_the_reader() -> None:
    decision = Decision("buyer_email", "", "to", "buyer", False, "no_buyer_address")
    with translation.override("fr"):
        stored = wording.reason(decision.reason, decision.params)
    with translation.override("en"):
        told = failures.sentence(stored, "not_sent", {"reason": "no_buyer_address", "params": {}})
        assert told == wording.reason("no_buyer_address", {}) != stored


# --- Pages for staff ------------------------------------------------------------------------------


def test_every_column_of_the_admin_has_a_label() -> None:
    raw = set()
    for model, page in admin.site._registry.items():
        for name in {*page.list_display, *(page.readonly_fields or ())} - {"action_checkbox", "__str__"}:
            if not isinstance(name, str):
                continue
            label = str(label_for_field(name, model, page))
            if "_" in label or (label.lower() == name.replace("_", " ") and "_" in name):
                raw.add(f"{model.__name__}.{name} → {label}")
    assert not raw, raw
