"""Data collection forms: what a draft may hold, going online, who is told, and what becomes of answers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone, translation

from companies.audit import Actor, StaleVersion
from companies.models import AuditEntry
from notifications.events import hooks
from notifications.events.intake import validate_event
from notifications.events.publishing import accept_event
from notifications.models import Delivery, Event
from notifications.worker import loop
from shops import dataform_content as content
from shops.dataform_content import Amount, Content, FormField
from shops.dataforms import selectors, services
from shops.models import DataCollectionForm, DataFormAnswer, DataFormVersion, PaymentOrder, Shop
from shops.orders.services import payment_order_simulate
from tests.factories import (
    DataCollectionFormFactory,
    DataFormAnswerFactory,
    DataFormVersionFactory,
    NotificationRuleFactory,
    ShopKeyFactory,
)
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db
ACTOR = Actor("Claire Morel")
STAFF = Actor("Équipe plateforme")


def codes(shop: Shop) -> list[str]:
    return [item.code for item in selectors.draft_of(selectors.form_of(shop)).shown]


def act(shop: Shop, action: str, code: str) -> None:
    version = selectors.form_of(shop).version
    services.field_act(shop=shop, actor=ACTOR, seen=version, code=code, action=action)


# --- The draft ------------------------------------------------------------------------------------


def test_a_content_survives_its_storage_whole() -> None:
    shape = Content(
        title={"fr": "Titre", "en": "Title"},
        intro={"en": "Hello"},
        currency="JPY",
        amount=Amount(minimum=1, maximum=9),
        privacy_url="https://x.example/p",
        retention_months=3,
        fields=(
            FormField("email", "email", True, {"fr": "Courriel"}, {"en": "Help"}, 5, 90, True),
            FormField("own3", "long", label={"fr": "Message"}),
        ),
    )
    assert content.from_json(content.to_json(shape)) == shape


@pytest.mark.parametrize(
    "shape",
    [
        Content(fields=(FormField("city"), FormField("city"))),
        Content(fields=tuple(FormField(f"own{n}", label={"fr": "x"}) for n in range(1, content.MAX_FIELDS + 2))),
        Content(fields=(FormField("card_number"),)),
        Content(fields=(FormField("city", "email"),)),
        Content(fields=(FormField("own1", "title", label={"fr": "x"}),)),
        Content(fields=(FormField("title", "title", confirm=True),)),
        Content(fields=(FormField("own1"),)),
        Content(fields=(FormField("city", max_length=129),)),
        Content(fields=(FormField("city", min_length=10, max_length=9),)),
        Content(amount=Amount(fixed=0)),
        Content(amount=Amount(minimum=5, maximum=4)),
        Content(retention_months=5),
    ],
)
def test_what_a_content_may_not_hold_is_found(shape: Content) -> None:
    assert len(list(content.faults(shape))) == 1


def test_texts_fall_back_to_the_other_language() -> None:
    assert content.in_language({"fr": "Bonjour"}, "en") == "Bonjour"
    assert content.in_language({"fr": "Bonjour", "en": "Hello"}, "en") == "Hello"
    assert content.in_language({}, "en") == ""
    with translation.override("en"):
        assert FormField("last_name").title == "Last name"
        assert FormField("info1", label={"fr": "Devis"}).title == "Devis"


def test_looking_at_a_form_that_nobody_worked_on_stores_nothing(shop: Shop) -> None:
    assert codes(shop) == ["last_name", "first_name", "email", "reference"]
    assert not DataCollectionForm.objects.exists()


def test_fields_are_added_moved_flipped_copied_and_removed(shop: Shop) -> None:
    services.field_add(shop=shop, actor=ACTOR, seen=1, code="city")
    assert codes(shop) == ["last_name", "first_name", "email", "reference", "city"]
    act(shop, "up", "city")
    assert codes(shop)[-2:] == ["city", "reference"]
    act(shop, "up", "city")
    assert codes(shop)[-2:] == ["city", "reference"], "the first of its group stays; it does not become required"
    act(shop, "required", "city")
    assert codes(shop) == ["last_name", "first_name", "email", "city", "reference"]
    act(shop, "down", "last_name")
    assert codes(shop)[:2] == ["first_name", "last_name"]
    act(shop, "copy", "email")
    copy = selectors.draft_of(selectors.form_of(shop)).find("own1")
    assert copy is not None
    assert (copy.kind, copy.required, copy.confirm, copy.max_length) == ("email", True, True, 150)
    assert copy.label == {"fr": "Adresse e-mail (copie)", "en": "E-mail address (copy)"}
    act(shop, "optional", "email")
    act(shop, "remove", "own1")
    assert codes(shop) == ["first_name", "last_name", "city", "reference", "email"]
    entries = AuditEntry.objects.filter(action="data_form.updated").order_by("pk")
    assert entries.count() == selectors.form_of(shop).version - 1
    assert entries[0].changes == {"field.city": [None, "Ville · facultatif"]}
    assert "order" in entries[1].changes


def test_a_field_of_ones_own_is_named_in_the_shops_language(shop: Shop) -> None:
    shop.language = "en"
    shop.save()
    form, code = services.own_field_add(shop=shop, actor=ACTOR, seen=1, label="  Wished date ", kind="text")
    item = selectors.draft_of(form).find(code)
    assert item is not None and (item.label, item.required, code) == ({"en": "Wished date"}, False, "own1")
    for label, kind, where in (("", "text", "label"), ("x" * 81, "text", "label"), ("Carte", "title", "kind")):
        with pytest.raises(ValidationError) as refused:
            services.own_field_add(shop=shop, actor=ACTOR, seen=2, label=label, kind=kind)
        assert list(refused.value.message_dict) == [where]


def test_a_stale_page_changes_nothing_and_a_first_change_is_made_once(shop: Shop) -> None:
    services.field_add(shop=shop, actor=ACTOR, seen=1, code="city")
    for version in (0, 1, 3):
        with pytest.raises(StaleVersion):
            services.field_add(shop=shop, actor=ACTOR, seen=version, code="country")
    with pytest.raises(ValidationError, match="déjà"):
        services.field_add(shop=shop, actor=ACTOR, seen=2, code="city")
    with pytest.raises(ValidationError):
        services.field_act(shop=shop, actor=ACTOR, seen=2, code="country", action="up")
    with pytest.raises(ValidationError):
        services.field_act(shop=shop, actor=ACTOR, seen=2, code="city", action="explode")
    assert selectors.form_of(shop).version == 2
    assert AuditEntry.objects.count() == 1


def test_a_form_has_room_for_thirty_fields(shop: Shop) -> None:
    for number in range(26):
        services.own_field_add(shop=shop, actor=ACTOR, seen=number + 1, label=f"Champ {number}", kind="text")
    with pytest.raises(ValidationError, match="30"):
        services.field_add(shop=shop, actor=ACTOR, seen=27, code="city")
    with pytest.raises(ValidationError, match="30"):
        act(shop, "copy", "email")
    act(shop, "remove", "own1")
    services.field_add(shop=shop, actor=ACTOR, seen=28, code="city")


# --- Online ---------------------------------------------------------------------------------------


def told() -> list[tuple[str, str, str]]:
    """Every delivery so far, the requests and publications before the confirmations."""
    found = Delivery.objects.filter(notification__startswith="data_form")
    return sorted(found.values_list("notification", "address", "as_field"))


ASKED = ("data_form_go_live", "claire@lumiere.example", "to")
CONFIRMED = ("data_form_go_live_confirmation", "claire@lumiere.example", "to")


def test_a_shop_in_test_asks_staff_confirm_and_then_it_publishes_alone(shop: Shop) -> None:
    form = DataCollectionFormFactory(shop=shop)
    asked = services.go_live(shop=shop, actor=ACTOR, seen=1)
    assert (asked.state, asked.number, asked.live_at, asked.asked_by) == ("requested", 1, None, "Claire Morel")
    assert told() == [ASKED], "the shop manager is told nothing"
    assert selectors.live_version(form) is None
    with pytest.raises(ValidationError, match="déjà en cours"):
        services.go_live(shop=shop, actor=ACTOR, seen=1)

    # What the merchant changes meanwhile is not what staff confirm.
    services.field_add(shop=shop, actor=ACTOR, seen=1, code="city")
    services.request_approve(version=asked, actor=STAFF)
    live = selectors.live_version(form)
    assert live is not None and selectors.content_of(live).find("city") is None
    assert (live.decided_by, live.live_at is not None) == ("Équipe plateforme", True)
    assert told() == [ASKED, CONFIRMED]
    for again in (services.request_approve, services.request_refuse):
        with pytest.raises(ValidationError):
            again(version=asked, actor=STAFF, **({"reason": "x"} if again is services.request_refuse else {}))

    assert selectors.in_production(shop)
    second = services.go_live(shop=shop, actor=ACTOR, seen=2)
    assert second.state == "live"
    assert list(DataFormVersion.objects.order_by("number").values_list("number", "state")) == [
        (1, "replaced"),
        (2, "live"),
    ]
    assert DataFormVersion.objects.get(number=1).ended_at is not None
    assert told() == [ASKED, ASKED, CONFIRMED, CONFIRMED]
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "data_form.requested",
        "data_form.updated",
        "data_form.confirmed",
        "data_form.published",
    ]


def test_a_shop_with_a_production_key_publishes_alone_and_both_notifications_leave_at_once(shop: Shop) -> None:
    ShopKeyFactory(shop=shop, kind="production")
    DataCollectionFormFactory(shop=shop)
    assert services.go_live(shop=shop, actor=ACTOR, seen=1).state == "live"
    assert told() == [ASKED, CONFIRMED]
    with pytest.raises(ValidationError, match="rien n'a changé"):
        services.go_live(shop=shop, actor=ACTOR, seen=1)
    assert len(told()) == 2


def test_a_test_key_or_a_refused_request_does_not_make_a_shop_publish_alone(shop: Shop) -> None:
    ShopKeyFactory(shop=shop, kind="test")
    form = DataCollectionFormFactory(shop=shop)
    for number, state in enumerate(("requested", "refused", "cancelled"), start=1):
        DataFormVersionFactory(form=form, state=state, live_at=None, number=number)
    assert not selectors.in_production(shop)


def test_a_refusal_needs_its_reason_is_mailed_to_nobody_and_leaves_the_way_open(shop: Shop) -> None:
    DataCollectionFormFactory(shop=shop)
    asked = services.go_live(shop=shop, actor=ACTOR, seen=1)
    with pytest.raises(ValidationError) as missing:
        services.request_refuse(version=asked, actor=STAFF, reason="  ")
    assert list(missing.value.message_dict) == ["reason"]
    refused = services.request_refuse(version=asked, actor=STAFF, reason="La politique ne s'ouvre pas.")
    assert (refused.state, refused.reason) == ("refused", "La politique ne s'ouvre pas.")
    assert told() == [ASKED]
    assert services.go_live(shop=shop, actor=ACTOR, seen=1).number == 2


@pytest.mark.parametrize(
    ("shape", "sentences"),
    [
        ({"privacy_url": ""}, ["politique"]),
        ({"fields": (FormField("city"),)}, ["obligatoire"]),
        ({"title": {}, "fields": (), "privacy_url": ""}, ["titre", "obligatoire", "politique"]),
    ],
)
def test_an_incomplete_form_says_all_that_is_missing_and_stays_offline(
    shop: Shop, shape: dict[str, object], sentences: list[str]
) -> None:
    DataCollectionFormFactory(shop=shop, shape=shape)
    with pytest.raises(ValidationError) as refused:
        services.go_live(shop=shop, actor=ACTOR, seen=1)
    assert len(refused.value.messages) == len(sentences)
    assert all(word in text for word, text in zip(sentences, refused.value.messages, strict=True))
    assert not DataFormVersion.objects.exists() and not told()


@pytest.mark.parametrize("whose", ["shop", "company"])
def test_a_suspended_shop_neither_asks_nor_is_confirmed(shop: Shop, whose: str) -> None:
    form = DataCollectionFormFactory(shop=shop)
    asked = DataFormVersionFactory(form=form, state="requested", live_at=None)
    target = shop if whose == "shop" else shop.company
    target.status = "suspended"
    target.save()
    with pytest.raises(ValidationError):
        services.request_approve(version=asked, actor=STAFF)
    DataFormVersion.objects.all().delete()
    with pytest.raises(ValidationError):
        services.go_live(shop=Shop.objects.select_related("company").get(), actor=ACTOR, seen=1)
    assert not told()


def test_a_request_is_taken_back_and_a_live_form_withdrawn_once(shop: Shop) -> None:
    form = DataCollectionFormFactory(shop=shop)
    services.go_live(shop=shop, actor=ACTOR, seen=1)
    assert [services.request_cancel(shop=shop, actor=ACTOR) for _number in range(2)] == [True, False]
    live = DataFormVersionFactory(form=form, number=2)
    assert [services.withdraw(shop=shop, actor=ACTOR) for _number in range(2)] == [True, False]
    live.refresh_from_db()
    assert (live.state, live.ended_at is not None) == ("withdrawn", True)
    assert selectors.in_production(shop), "it was confirmed once"


def test_the_online_form_is_copied_back_to_the_draft(shop: Shop) -> None:
    form = DataCollectionFormFactory(shop=shop)
    with pytest.raises(ValidationError):
        services.copy_live_to_draft(shop=shop, actor=ACTOR, seen=1)
    DataFormVersionFactory(form=form)
    before = codes(shop)
    services.field_add(shop=shop, actor=ACTOR, seen=1, code="city")
    services.copy_live_to_draft(shop=shop, actor=ACTOR, seen=2)
    assert codes(shop) == before
    assert AuditEntry.objects.order_by("-pk")[0].action == "data_form.copied"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("language", "subjects", "sentence"),
    [
        (
            "fr",
            [
                "Mise en production demandée : formulaire de collecte de données, Lumière Paris",
                "Confirmation de mise en production : formulaire de collecte de données, Lumière Paris",
                "Mise en production : formulaire de collecte de données, Lumière Paris",
                "Confirmation de mise en production : formulaire de collecte de données, Lumière Paris",
            ],
            "a accepté votre demande",
        ),
        (
            "en",
            [
                "Shift to production requested: data collection form, Lumière Paris",
                "Confirmation of shift to production: data collection form, Lumière Paris",
                "Shift to production: data collection form, Lumière Paris",
                "Confirmation of shift to production: data collection form, Lumière Paris",
            ],
            "has accepted your request",
        ),
    ],
)
def test_the_mails_say_what_happened_in_the_shops_language(
    shop: Shop, smtp_server: SmtpServer, language: str, subjects: list[str], sentence: str
) -> None:
    shop.language = language
    shop.save()
    form = DataCollectionFormFactory(shop=shop)
    services.request_approve(version=services.go_live(shop=shop, actor=ACTOR, seen=1), actor=STAFF)
    services.field_add(shop=shop, actor=ACTOR, seen=1, code="city")
    services.go_live(shop=shop, actor=ACTOR, seen=2)
    loop.deliver_until_idle()
    found = smtp_server.received
    assert sorted(str(mail.message["Subject"]) for mail in found) == sorted(subjects)
    assert {mail.rcpt_tos for mail in found} == {("claire@lumiere.example",)}
    confirmations = [mail for mail in found if str(mail.message["Subject"]) == subjects[1]]
    assert [sentence in mail.text for mail in confirmations].count(True) == 1, "only where staff confirmed"
    assert all(services.public_url(form) in part for mail in confirmations for part in (mail.text, mail.html))
    others = [mail for mail in found if mail not in confirmations]
    assert all(f"/settings/shops/{shop.site_id}/data-form/" in mail.text for mail in others)
    assert all("Claire Morel" in mail.text for mail in others)


@pytest.mark.django_db(transaction=True)
def test_a_title_with_lines_and_markup_stays_one_line_of_text(shop: Shop, smtp_server: SmtpServer) -> None:
    title = "Don\r\nBcc: x@evil.example <b>"
    DataCollectionFormFactory(shop=shop, shape={"title": {"fr": title}})
    services.go_live(shop=shop, actor=ACTOR, seen=1)
    loop.deliver_until_idle()
    mail = smtp_server.received[0]
    assert mail.rcpt_tos == ("claire@lumiere.example",) and mail.message["Bcc"] is None
    assert "<b>" not in mail.html and "&lt;b&gt;" in mail.html


# --- Answers --------------------------------------------------------------------------------------

VALUES = {"last_name": "Roy", "first_name": "Jeanne", "email": "jeanne@acheteur.example", "reference": "DEVIS-7"}


def take(version: DataFormVersion, nonce: str = "n1", **changes: object) -> DataFormAnswer:
    given = {"values": VALUES, "amount": 4990, "language": "fr", **changes}
    return services.answer_take(form=version.form, version=version, nonce=nonce, **given)  # type: ignore[arg-type]


def test_an_answer_makes_one_order_of_source_dcf_by_link(shop: Shop) -> None:
    version = DataFormVersionFactory(form__shop=shop)
    answer, again = take(version), take(version, amount=1)
    assert answer == again and PaymentOrder.objects.count() == 1
    order = answer.order
    assert (order.source, order.mode, order.channel, order.amount, order.currency) == (
        "DCF", "PRODUCTION", "url", 4990, "EUR",
    )  # fmt: skip
    assert (order.recipient, order.buyer_reference, order.language) == ("jeanne@acheteur.example", "DEVIS-7", "fr")
    assert order.reference.startswith("FC-") and order.created_by == "Formulaire de collecte de données"
    assert [(item["code"], item["value"]) for item in answer.values] == list(VALUES.items())
    assert answer.privacy_url == "https://boutique.example/donnees"
    assert not Delivery.objects.exists(), "the buyer is led to the order, no mail is needed"


def test_a_trial_of_the_draft_makes_an_order_in_test_mode(shop: Shop) -> None:
    form = DataCollectionFormFactory(shop=shop)
    answer = services.answer_take(form=form, version=None, values=VALUES, amount=500, language="en", nonce="t")
    assert (answer.mode, answer.order.mode, answer.version, answer.order.language) == ("TEST", "TEST", None, "en")


def test_the_address_of_the_order_is_that_of_the_form_or_none(shop: Shop) -> None:
    own = FormField("own1", "email", label={"fr": "Copie"})
    version = DataFormVersionFactory(form__shop=shop, form__shape={"fields": (own, FormField("email", "email"))})
    assert take(version, "a", values={"own1": "b@x.example", "email": "a@x.example"}).order.recipient == "a@x.example"
    assert take(version, "b", values={"own1": "b@x.example", "email": ""}).order.recipient == "b@x.example"
    assert take(version, "c", values={}).order.recipient == ""


def test_a_suspended_shop_takes_no_answer(shop: Shop) -> None:
    version = DataFormVersionFactory(form__shop=shop)
    version.form.shop.status = "suspended"
    with pytest.raises(ValidationError):
        take(version)
    assert not DataFormAnswer.objects.exists() and not PaymentOrder.objects.exists()


def test_a_payment_of_source_dcf_finalises_the_order_and_fires_the_rules_for_it(shop: Shop) -> None:
    condition = {"variable": "source", "operator": "in", "value": ["DCF"]}
    rule = NotificationRuleFactory(shop=shop, conditions=[condition])
    order = take(DataFormVersionFactory(form__shop=shop)).order
    accept_event(
        valid=validate_event(
            {
                "id": "evt-1",
                "type": "payment.accepted",
                "site_id": shop.site_id,
                "mode": "PRODUCTION",
                "occurred_at": timezone.now().isoformat(),
                "data": {"source": "DCF", "order_id": order.reference, "amount": 4990, "currency": "EUR"},
            }
        )
    )
    order.refresh_from_db()
    assert order.state == "finalised"
    assert Delivery.objects.get().rule == rule


def test_the_simulator_tells_the_payments_of_a_trial_with_source_dcf(shop: Shop) -> None:
    form = DataCollectionFormFactory(shop=shop)
    answer = services.answer_take(form=form, version=None, values=VALUES, amount=500, language="fr", nonce="t")
    payment_order_simulate(order=answer.order, result="accepted", nonce="s")
    assert Event.objects.get(type="payment.accepted").data["source"] == "DCF"
    assert PaymentOrder.objects.get().state == "finalised"


@pytest.mark.parametrize(
    ("day", "months", "until"),
    [((2026, 1, 31), 1, (2026, 2, 28)), ((2026, 11, 24), 12, (2027, 11, 24)), ((2026, 12, 15), 1, (2027, 1, 15))],
)
def test_months_end_where_people_expect(day: tuple[int, int, int], months: int, until: tuple[int, int, int]) -> None:
    assert services._months_later(datetime(*day, 10, tzinfo=UTC), months) == datetime(*until, 10, tzinfo=UTC)


def test_answers_are_erased_when_their_time_is_over_and_not_before(shop: Shop) -> None:
    version = DataFormVersionFactory(form__shop=shop, form__shape={"retention_months": 1})
    answer = take(version)
    assert answer.erase_at is not None
    hooks.tick(answer.erase_at - timedelta(seconds=1))
    answer.refresh_from_db()
    assert answer.values and answer.erased_at is None
    hooks.tick(answer.erase_at)
    answer.refresh_from_db()
    assert (answer.values, answer.search, answer.erased_at) == ([], "", answer.erase_at)
    assert answer.order.recipient == "jeanne@acheteur.example"


def test_an_answer_is_erased_earlier_on_demand_once_and_noted(shop: Shop) -> None:
    answer = DataFormAnswerFactory(version__form__shop=shop)
    assert [services.answer_erase(answer=answer, actor=ACTOR) for _number in range(2)] == [True, False]
    answer.refresh_from_db()
    assert (answer.values, answer.search) == ([], "")
    entry = AuditEntry.objects.get()
    assert entry.action == "data_form.answer_erased" and "Roy" not in str(entry.changes)


def test_the_search_finds_capitals_with_accents_and_orders(shop: Shop) -> None:
    version = DataFormVersionFactory(form__shop=shop)
    one = take(version, "a", values={**VALUES, "last_name": "Élodie ÉTÉ"})
    take(version, "b")
    for q in ("élodie", "ÉTÉ", one.order.reference.lower()):
        assert [answer.pk for answer in selectors.answers(version.form, q=q)] == [one.pk]
    assert selectors.answers(version.form, mode="TEST").count() == 0


def test_columns_are_those_of_all_versions_then_of_the_draft(shop: Shop) -> None:
    version = DataFormVersionFactory(form__shop=shop)
    act(shop, "remove", "reference")
    services.field_add(shop=shop, actor=ACTOR, seen=2, code="city")
    columns = selectors.answer_columns(selectors.form_of(shop))
    assert list(columns) == ["last_name", "first_name", "email", "reference", "city"]
    assert replace(selectors.content_of(version)).find("reference") is not None
