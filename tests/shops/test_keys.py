"""Paramétrage > Boutique > Clés: the test phase, identity asked again, keys shown once and never again."""

import io
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY as METHODS
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, hotp_value, yield_hotp_counters_from_time
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies import permissions
from companies.audit import Actor
from companies.models import AuditEntry, Role, User
from notifications import dispatch
from notifications.models import Delivery, Event, NotificationRule
from shops import checklist, selectors, services
from shops.models import Shop, ShopKey
from tests.factories import (
    PASSWORD,
    CompanyFactory,
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    ShopKeyFactory,
    StaffFactory,
    UserFactory,
)
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
ACTOR = Actor("Claire Morel")


@pytest.fixture
def shop() -> Shop:
    found = ShopFactory(
        company=CompanyFactory(manager__email="claire@lumiere.example"), manager_email="paris@lumiere.example"
    )
    ShopKeyFactory(shop=found, kind="test", value="cle-de-test-neuve")
    return found


@pytest.fixture
def user(shop: Shop) -> User:
    return UserFactory(company=shop.company)


def url(shop: Shop, *rest: str) -> str:
    return "/".join([f"/settings/shops/{shop.site_id}/keys", *rest]) + "/"


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace("&quot;", '"')


def confirmed(client: Client) -> Client:
    """The client after its user gave the password on the page that asks for it."""
    answer = client.post("/accounts/reauthenticate/?next=/account/", {"password": PASSWORD, "next": "/account/"})
    assert answer.status_code == 302 and answer.headers["Location"] == "/account/"
    return client


def played(shop: Shop, kind: str, brand: str = "VISA", **more: Any) -> Event:
    number = Event.objects.count()
    data = {"transaction_id": f"t{number:05d}", "card_brand": brand}
    return EventFactory(shop=shop, type=f"payment.{kind}", mode="TEST", data=data, **more)


def all_tests_played(shop: Shop) -> None:
    for kind in ("accepted", "accepted", "refused", "refused"):
        played(shop, kind)


def generate(client: Client, shop: Shop, name: str = "production", **data: Any) -> Any:
    """Post the confirmation form as its page holds it."""
    seen = client.get(url(shop, name)).context["form"]["seen"].value()
    return client.post(url(shop, name), {"key_format": "ALPHANUMERIC", "seen": seen, **data})


def secret_of(response: Any) -> list[str]:
    return re.findall(r'<code class="secret"[^>]*>([^<]+)</code>', response.content.decode())


# --- The checklist --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "column"),
    [
        ({"card_brand": "visa"}, "CB/VISA"),
        ({"card_brand": "MASTERCARD", "network": "CB"}, "MASTERCARD"),
        ({"network": "CB"}, "CB/VISA"),
        ({"card_brand": " VISA_ELECTRON "}, "VISA ELECTRON"),
        ({"card_brand": "MAESTRO"}, "MAESTRO"),
        ({"card_brand": "AMEX", "network": "CB"}, None),
        ({"card_brand": "", "network": "SEPA"}, None),
        ({"card_brand": 7}, None),
        ({}, None),
    ],
)
def test_the_card_type_is_the_brand_before_the_network(data: dict[str, Any], column: str | None) -> None:
    assert checklist.card_type(data) == column


def proofs(*payments: tuple[str, str | None, str]) -> dict[tuple[str, str], str]:
    told = [checklist.Payment(f"payment.{kind}", card, number, timezone.now()) for kind, card, number in payments]
    return {cell: payment.transaction for cell, payment in checklist.progress(told).items()}


def test_each_payment_proves_one_cell_and_a_new_scenario_before_another_card() -> None:
    assert proofs(("accepted", "MAESTRO", "1"), ("accepted", "CB/VISA", "2"), ("accepted", "MAESTRO", "3")) == {
        ("accepted-1", "MAESTRO"): "1",
        ("accepted-2", "CB/VISA"): "2",
        ("accepted-2", "MAESTRO"): "3",
    }


def test_a_repeated_transaction_a_foreign_card_and_a_full_column_prove_nothing_more() -> None:
    assert proofs(
        ("refused", "CB/VISA", "1"),
        ("refused", "CB/VISA", "1"),
        ("refused", None, "2"),
        ("refused", "CB/VISA", "3"),
        ("refused", "CB/VISA", "4"),
    ) == {("refused-1", "CB/VISA"): "1", ("refused-2", "CB/VISA"): "3"}


def test_the_phase_is_over_after_two_accepted_and_two_refused_payments_of_the_platform_in_test(shop: Shop) -> None:
    for kind in ("accepted", "accepted", "refused"):
        played(shop, kind)
    played(shop, "refused", external=False)
    EventFactory(shop=shop, type="payment.refused", mode="PRODUCTION", data={"card_brand": "VISA"})
    played(ShopFactory(), "refused")
    found = selectors.tests_progress(shop)
    assert (found.played, found.total, found.done) == (3, 4, False)
    assert not selectors.tests_are_done(shop)
    played(shop, "refused", "MAESTRO")
    assert selectors.tests_are_done(shop)


def test_the_page_follows_the_payments(client_for: ClientFor, shop: Shop, user: User) -> None:
    client = client_for(user)
    before = text(client.get(url(shop)))
    assert "Tests faits : 0 sur 4" in before and "Disponible après la phase de test" in before
    played(shop, "accepted", "MAESTRO")
    played(shop, "accepted", "AMEX")
    part = text(client.get(url(shop), {"part": "tests"}))
    assert "Tests faits : 1 sur 4" in part and "<html" not in part
    assert "1 paiement de test ne compte pas" in part
    all_tests_played(shop)
    assert "Générer la clé de production" in text(client.get(url(shop), {"part": "tests"}))


def test_an_administrator_declares_the_phase_over_with_a_reason(client_for: ClientFor, shop: Shop, user: User) -> None:
    client = client_for(user)
    refused = client.post(url(shop, "tests-done"), {"reason": "   "})
    assert refused.status_code == 200 and "Ce champ est obligatoire" in text(refused)
    said = text(client.post(url(shop, "tests-done"), {"reason": "Site déjà testé"}, follow=True))
    assert "motif : Site déjà testé" in said
    entry = AuditEntry.objects.get(action="shop.tests_done")
    assert entry.actor == user and entry.changes == {"tests_done_reason": [None, "Site déjà testé"]}
    client.post(url(shop, "tests-done"), {"reason": "Encore"})
    assert AuditEntry.objects.filter(action="shop.tests_done").count() == 1


def test_staff_declare_the_phase_over_in_the_admin(client_for: ClientFor, shop: Shop) -> None:
    staff = client_for(StaffFactory())
    page = staff.get(f"/admin/shops/shop/{shop.pk}/change/")
    data = {name: value or "" for name, value in page.context["adminform"].form.initial.items()}
    data |= {"contracts-TOTAL_FORMS": "0", "contracts-INITIAL_FORMS": "0", "tests_done_reason": "Vu avec l'intégrateur"}
    assert staff.post(f"/admin/shops/shop/{shop.pk}/change/", data).status_code == 302
    shop.refresh_from_db()
    assert shop.tests_done_at is not None and shop.tests_done_reason == "Vu avec l'intégrateur"
    assert AuditEntry.objects.get(action="shop.tests_done").actor_label == "Alice Durand"


# --- Services -------------------------------------------------------------------------------------


def test_no_production_key_before_the_end_of_the_tests(shop: Shop) -> None:
    with pytest.raises(ValidationError, match="après la phase de test"):
        services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={})
    assert not ShopKey.objects.filter(kind="production").exists() and not Event.objects.exists()


def test_no_rest_key_of_production_before_the_production_key(shop: Shop) -> None:
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    with pytest.raises(ValidationError, match="Générez d'abord"):
        services.keys_generate(shop=shop, kinds=["rest_production"], actor=ACTOR, seen={})


@pytest.mark.parametrize(
    ("kind", "key_format", "pattern"),
    [
        ("test", "ALPHANUMERIC", r"[A-Za-z0-9]{16}"),
        ("test", "NUMERIC", r"[0-9]{16}"),
        ("production", "NUMERIC", r"[0-9]{16}"),
        ("rest_test", "NUMERIC", r"testpassword_[A-Za-z0-9]{48}"),
        ("rest_production", "ALPHANUMERIC", r"prodpassword_[A-Za-z0-9]{48}"),
        ("public_test", "ALPHANUMERIC", r"[0-9]{8}:testpublickey_[A-Za-z0-9]{48}"),
        ("public_production", "ALPHANUMERIC", r"[0-9]{8}:publickey_[A-Za-z0-9]{48}"),
        ("hmac_test", "ALPHANUMERIC", r"[A-Za-z0-9]{48}"),
    ],
)
def test_values_have_the_form_of_their_kind(shop: Shop, kind: str, key_format: str, pattern: str) -> None:
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    if kind != "production":
        services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={})
    seen = {"test": 1}
    first = services.keys_generate(shop=shop, kinds=[kind], actor=ACTOR, seen=seen, key_format=key_format)[kind]
    again = services.keys_generate(
        shop=shop, kinds=[kind], actor=ACTOR, seen={kind: seen.get(kind, 0) + 1}, key_format=key_format
    )[kind]
    assert re.fullmatch(pattern, first) and re.fullmatch(pattern, again) and first != again
    assert ShopKey.objects.get(shop=shop, kind=kind).value == again


def test_the_first_production_key_and_the_later_ones_are_different_events(shop: Shop) -> None:
    NotificationRuleFactory(shop=shop, reference="mail-key", triggers=["production_key.regenerated"])
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 0})
    assert [(row.notification, row.address, row.as_field) for row in Delivery.objects.order_by("pk").all()].count(
        ("merchant_email", "paris@lumiere.example", "to")
    ) == 0
    services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 1})
    assert list(Event.objects.order_by("pk").values_list("type", "mode")) == [
        ("production_key.generated", "PRODUCTION"),
        ("production_key.regenerated", "PRODUCTION"),
    ]
    told = Delivery.objects.filter(event__type="production_key.regenerated")
    assert sorted(told.values_list("notification", "address", "as_field")) == [
        ("merchant_email", "paris@lumiere.example", "to"),
        ("production_key_generated", "claire@lumiere.example", "cc"),
        ("production_key_generated", "paris@lumiere.example", "to"),
    ]
    assert list(AuditEntry.objects.filter(object_type="shopkey").order_by("pk").values_list("action", flat=True)) == [
        "key.generated",
        "key.regenerated",
    ]


def test_other_keys_are_told_to_nobody(shop: Shop) -> None:
    services.keys_generate(
        shop=shop, kinds=["test", "rest_test", "public_test", "hmac_test"], actor=ACTOR, seen={"test": 1}
    )
    assert not Event.objects.exists() and not Delivery.objects.exists()


def test_a_form_sent_twice_makes_one_key_and_one_mail(shop: Shop) -> None:
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    values = services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 0})
    with pytest.raises(services.KeyAlreadyChanged):
        services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 0})
    assert ShopKey.objects.get(shop=shop, kind="production").value == values["production"]
    assert Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_four_people_at_once_make_one_production_key(shop: Shop) -> None:
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    start, made, refused = threading.Barrier(4), [], []

    def click() -> None:
        start.wait()
        try:
            made.append(services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 0}))
        except services.KeyAlreadyChanged as error:
            refused.append(error)
        connection.close()

    threads = [threading.Thread(target=click) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 3)
    assert ShopKey.objects.get(shop=shop, kind="production").value == made[0]["production"]
    assert Event.objects.filter(type="production_key.generated").count() == 1


def test_a_key_is_shown_by_the_service_once(shop: Shop) -> None:
    assert services.key_show(shop=shop, kind="test", actor=ACTOR) == "cle-de-test-neuve"
    assert services.key_show(shop=shop, kind="test", actor=ACTOR) is None
    assert services.key_show(shop=shop, kind="production", actor=ACTOR) is None
    assert AuditEntry.objects.filter(action="key.shown").count() == 1


def test_both_algorithms_are_accepted_for_24_hours_after_a_change(shop: Shop) -> None:
    now = timezone.now()
    assert shop.accepted_algorithms("TEST", now) == ("HMAC-SHA-256",)
    services.shop_update(shop=shop, actor=ACTOR, algorithm_test="SHA-1")
    since = shop.algorithm_test_since
    assert since is not None and shop.algorithm_production_since is None
    end = since + timedelta(hours=24)
    assert shop.accepted_algorithms("TEST", end - timedelta(seconds=1)) == ("SHA-1", "HMAC-SHA-256")
    assert shop.former_algorithm_until("TEST", end - timedelta(seconds=1)) == end
    assert shop.accepted_algorithms("TEST", end) == ("SHA-1",)
    assert shop.accepted_algorithms("PRODUCTION", since) == ("HMAC-SHA-256",)
    services.shop_update(shop=shop, actor=ACTOR, name="Autre nom")
    assert shop.algorithm_test_since == since, "another change starts no overlap"


# --- The screens ----------------------------------------------------------------------------------


def test_only_the_right_to_manage_keys_opens_the_page(client_for: ClientFor, shop: Shop) -> None:
    for role in (Role.VIEWER, Role.MANAGER):
        client = client_for(UserFactory(company=shop.company, role=role))
        for path in (url(shop), url(shop, "test"), url(shop, "test", "show")):
            assert client.get(path).status_code == 403, (role, path)
        assert client.post(url(shop, "tests-done"), {"reason": "x"}).status_code == 403
        assert "/keys/" not in text(client.get(f"/settings/shops/{shop.site_id}/configuration/")).split("<main")[1]
    stranger = client_for(UserFactory())
    assert [stranger.get(path).status_code for path in (url(shop), url(shop, "test"), url(shop, "test", "show"))] == [
        404, 404, 404
    ]  # fmt: skip
    assert stranger.post(url(shop, "production"), {}).status_code == 404


def test_the_right_on_one_shop_opens_the_keys_of_that_shop_only(client_for: ClientFor, shop: Shop) -> None:
    other = ShopFactory(company=shop.company, name="Lyon")
    everything = set(permissions.SHOP_LEVEL)
    both = UserFactory(company=shop.company, role=Role.MANAGER, shops=[other], grants={shop: everything})
    client = confirmed(client_for(both))
    assert client.get(url(shop)).status_code == 200 and client.get(url(other)).status_code == 403
    assert client.get("/settings/shops/keys/").headers["Location"] == url(shop)
    data = {"key_format": "NUMERIC", "seen": json.dumps({"test": 1})}
    ShopKeyFactory(shop=other)
    assert client.post(url(other, "test"), data).status_code == 403
    assert client.post(url(shop, "test"), data).status_code == 200
    assert sorted(ShopKey.objects.values_list("shop", "generation")) == sorted([(shop.pk, 2), (other.pk, 1)])


@pytest.mark.parametrize("name", ["test", "rest-set-test"])
def test_identity_is_asked_before_the_page_and_before_the_act(
    client_for: ClientFor, shop: Shop, user: User, name: str
) -> None:
    client = client_for(user)
    asked = client.get(url(shop, name))
    assert asked.headers["Location"] == f"/accounts/reauthenticate/?next={url(shop, name).replace('/', '%2F')}"
    posted = client.post(url(shop, name), {"key_format": "NUMERIC", "seen": json.dumps({"test": 1})})
    assert posted.headers["Location"] == url(shop, name), "the page opens again, which asks"
    assert ShopKey.objects.get().value == "cle-de-test-neuve"
    wrong = client.post("/accounts/reauthenticate/", {"password": "faux", "next": url(shop, name)})
    assert wrong.status_code == 200 and client.get(url(shop, name)).status_code == 302
    right = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": url(shop, name)})
    assert right.headers["Location"] == url(shop, name)
    assert client.get(url(shop, name)).status_code == 200


def test_a_proof_of_identity_that_ran_out_is_asked_for_again(client_for: ClientFor, shop: Shop, user: User) -> None:
    client = confirmed(client_for(user))
    assert client.get(url(shop, "test")).status_code == 200
    session = client.session
    methods = session[METHODS]
    methods[-1]["at"] = time.time() - 301
    session[METHODS] = methods
    session.save()
    assert client.get(url(shop, "test")).headers["Location"].startswith("/accounts/reauthenticate/")
    answer = client.post(url(shop, "test"), {"key_format": "NUMERIC", "seen": json.dumps({"test": 1})})
    assert answer.status_code == 302
    assert ShopKey.objects.get().value == "cle-de-test-neuve"


def test_a_log_in_alone_is_no_proof(shop: Shop, user: User) -> None:
    client = Client()
    client.post("/accounts/login/", {"login": user.login, "password": PASSWORD})
    assert client.get("/account/").status_code == 200
    assert client.get(url(shop, "test")).headers["Location"].startswith("/accounts/reauthenticate/")


def test_a_second_factor_proves_identity(client_for: ClientFor, shop: Shop, user: User) -> None:
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    client = client_for(user)
    page = text(client.get(client.get(url(shop, "test")).headers["Location"]))
    assert "Utiliser plutôt un code de l'application" in page
    code = get_adapter() and f"{hotp_value(secret, next(iter(yield_hotp_counters_from_time()))):06d}"
    answer = client.post("/accounts/mfa/reauthenticate/", {"code": code, "next": url(shop, "test")})
    assert answer.headers["Location"] == url(shop, "test")
    assert client.get(url(shop, "test")).status_code == 200
    assert Authenticator.objects.filter(user=user).exists()


def test_an_account_without_password_or_factor_chooses_a_password_first(
    client_for: ClientFor, shop: Shop, user: User
) -> None:
    user.set_unusable_password()
    user.save()
    client = client_for(user)
    assert client.get(url(shop, "test")).headers["Location"] == "/accounts/password/change/"
    assert client.post(url(shop, "test"), {"key_format": "NUMERIC", "seen": "{}"}).status_code == 302
    assert ShopKey.objects.get().generation == 1


def test_the_confirmation_names_the_consequences_and_the_format(client_for: ClientFor, shop: Shop, user: User) -> None:
    client = confirmed(client_for(user))
    said = text(client.get(url(shop, "test")))
    assert "cesse de servir aussitôt" in said and "ALPHANUMERIC" in said and "NUMERIC" in said
    assert "Un e-mail" not in said
    all_tests_played(shop)
    said = text(client.get(url(shop, "production")))
    assert "Un e-mail, sans la clé" in said and "cesse de servir" not in said


def test_before_the_end_of_the_tests_the_address_of_the_production_key_leads_back(
    client_for: ClientFor, shop: Shop, user: User
) -> None:
    client = confirmed(client_for(user))
    assert "disponible après la phase de test" in text(client.get(url(shop, "production"), follow=True))
    data = {"key_format": "NUMERIC", "seen": json.dumps({"production": 0})}
    assert "disponible après la phase de test" in text(client.post(url(shop, "production"), data, follow=True))
    assert not ShopKey.objects.filter(kind="production").exists()
    for nowhere in ("autre", "rest-set-autre"):
        assert client.get(url(shop, nowhere)).status_code == 404


@pytest.mark.parametrize("seen", ["", "[]", "nul", '{"test": "1"}', "{}", '{"production": 0}'])
def test_a_form_without_its_generations_changes_nothing(
    client_for: ClientFor, shop: Shop, user: User, seen: str
) -> None:
    client = confirmed(client_for(user))
    client.post(url(shop, "test"), {"key_format": "NUMERIC", "seen": seen})
    assert ShopKey.objects.get().value == "cle-de-test-neuve"


def test_the_test_key_of_a_new_shop_is_shown_once(client_for: ClientFor, shop: Shop, user: User) -> None:
    client = confirmed(client_for(user))
    assert "Afficher une fois" in text(client.get(url(shop)))
    assert secret_of(client.get(url(shop, "test", "show"))) == []
    first = client.post(url(shop, "test", "show"))
    assert secret_of(first) == ["cle-de-test-neuve"]
    assert "no-store" in first.headers["Cache-Control"]
    again = client.post(url(shop, "test", "show"), follow=True)
    assert "a déjà été affichée" in text(again) and secret_of(again) == []
    assert "Afficher une fois" not in text(client.get(url(shop)))
    assert client.get(url(shop, "production", "show")).status_code == 404


def test_all_rest_keys_of_a_mode_come_at_once_and_then_one_by_one(
    client_for: ClientFor, shop: Shop, user: User
) -> None:
    client = confirmed(client_for(user))
    shown = secret_of(generate(client, shop, "rest-set-test"))
    assert [value.partition("_")[0] for value in shown[:2]] == ["testpassword", f"{shop.site_id}:testpublickey"]
    assert len(shown) == 3
    page = text(client.get(url(shop)))
    assert shown[1] in page, "a public key is no secret"
    assert shown[0] not in page and shown[2] not in page
    assert client.get(url(shop, "rest-set-test")).headers["Location"] == url(shop), "nothing is missing any more"
    renewed = secret_of(generate(client, shop, "rest_test"))
    assert len(renewed) == 1 and renewed[0] != shown[0]
    assert ShopKey.objects.get(shop=shop, kind="hmac_test").value == shown[2]


def test_the_algorithm_form_tells_until_when_the_former_one_is_accepted(
    client_for: ClientFor, shop: Shop, user: User
) -> None:
    client = client_for(user)
    data = {"algorithm_test": "SHA-1", "algorithm_production": "HMAC-SHA-256", "version": "1"}
    assert "Mode TEST : HMAC-SHA-256 reste accepté jusqu'au" in text(client.post(url(shop), data, follow=True))
    stale = text(client.post(url(shop), {**data, "algorithm_test": "HMAC-SHA-256"}))
    assert "modifiées par quelqu'un d'autre" in stale
    Shop.objects.update(algorithm_test_since=timezone.now() - timedelta(hours=24, seconds=1))
    assert "reste accepté" not in text(client.get(url(shop)))
    refused = client.post(url(shop), {**data, "algorithm_test": "MD5", "version": "2"})
    assert "MD5" in text(refused) and Shop.objects.get(pk=shop.pk).algorithm_test == "SHA-1"


# --- Never a second time --------------------------------------------------------------------------


@pytest.fixture
def log_lines() -> Any:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.django_db(transaction=True)
def test_a_key_appears_in_one_answer_and_nowhere_else(
    client_for: ClientFor, shop: Shop, user: User, smtp_server: SmtpServer, log_lines: io.StringIO
) -> None:
    all_tests_played(shop)
    client, staff = confirmed(client_for(user)), client_for(StaffFactory())
    shown = secret_of(generate(client, shop))
    assert len(shown) == 1 and re.fullmatch("[A-Za-z0-9]{16}", shown[0])
    shown += secret_of(generate(client, shop))
    shown += [value for value in secret_of(generate(client, shop, "rest-set-test")) if "publickey" not in value]
    shown += secret_of(generate(client, shop, "test"))
    assert len(shown) == len(set(shown)) == 5
    dispatch.deliver_until_idle()
    journal = Delivery.objects.filter(notification="production_key_generated").first()
    assert journal is not None
    pages = [
        client.get(path)
        for path in (
            "/",
            url(shop),
            url(shop, "production"),
            url(shop, "test"),
            f"/settings/shops/{shop.site_id}/configuration/",
            "/settings/company/history/",
            "/settings/company/history/?format=csv",
            "/notifications/journal/",
            f"/notifications/journal/{journal.pk}/",
            f"/notifications/journal/{journal.pk}/html/",
            "/notifications/addresses/",
        )
    ]
    pages += [
        staff.get(path)
        for path in (
            f"/admin/shops/shop/{shop.pk}/change/",
            f"/admin/shops/shop/{shop.pk}/history/",
            "/admin/companies/auditentry/",
            *(f"/admin/companies/auditentry/{pk}/change/" for pk in AuditEntry.objects.values_list("pk", flat=True)),
            *(f"/admin/notifications/event/{pk}/change/" for pk in Event.objects.values_list("pk", flat=True)),
        )
    ]
    assert {page.status_code for page in pages} == {200}
    bodies = [b"".join(page.streaming_content if page.streaming else [page.content]).decode() for page in pages]
    bodies += [mail.raw.decode() + mail.text + mail.html for mail in smtp_server.received]
    bodies += [
        json.dumps(list(AuditEntry.objects.values()), default=str),
        json.dumps(list(Event.objects.values()), default=str),
    ]
    bodies.append(log_lines.getvalue())
    assert len(smtp_server.received) == 4
    for secret in shown:
        assert [body[:200] for body in bodies if secret in body] == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM shops_shopkey")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert not any(secret in stored for secret in shown)


@pytest.mark.django_db(transaction=True)
def test_the_mails_of_a_production_key_lead_to_the_keys_page(
    client_for: ClientFor, shop: Shop, user: User, smtp_server: SmtpServer
) -> None:
    all_tests_played(shop)
    generate(confirmed(client_for(user)), shop)
    dispatch.deliver_until_idle()
    assert sorted(mail.rcpt_tos[0] for mail in smtp_server.received) == [
        "claire@lumiere.example",
        "paris@lumiere.example",
    ]
    for mail in smtp_server.received:
        assert mail.message["To"] == "paris@lumiere.example" and mail.message["Cc"] == "claire@lumiere.example"
        assert mail.message["Subject"] == f"Clé de production générée : {shop.name}"
        assert f"http://localhost:8000{url(shop)}" in mail.text and "Alice Durand" in mail.text


COPIES = [
    ("", ["claire@lumiere.example"], None),
    ("claire@lumiere.example", ["claire@lumiere.example"], None),
    ("Claire@LUMIERE.example", ["Claire@LUMIERE.example"], None),
    ("paris@lumiere.example", ["paris@lumiere.example", "claire@lumiere.example"], "claire@lumiere.example"),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("own", "recipients", "cc"), COPIES)
def test_the_manager_contact_is_copied_only_where_the_address_is_another(
    client_for: ClientFor, shop: Shop, user: User, smtp_server: SmtpServer, own: str, recipients: list[str], cc: str
) -> None:
    Shop.objects.update(manager_email=own)
    all_tests_played(shop)
    generate(confirmed(client_for(user)), shop)
    dispatch.deliver_until_idle()
    # On the wire domains are in small letters.
    assert sorted(mail.rcpt_tos[0].lower() for mail in smtp_server.received) == sorted(map(str.lower, recipients))
    assert {mail.message["Cc"] for mail in smtp_server.received} == {cc}
    assert {mail.message["To"].lower() for mail in smtp_server.received} == {recipients[0].lower()}


@pytest.mark.django_db(transaction=True)
def test_two_spellings_of_an_international_domain_are_one_address(
    client_for: ClientFor, user: User, shop: Shop, smtp_server: SmtpServer
) -> None:
    shop.company.contacts.update(email="claire@lumière.example")
    Shop.objects.update(manager_email="claire@xn--lumire-6ua.example")
    all_tests_played(shop)
    generate(confirmed(client_for(user)), shop)
    dispatch.deliver_until_idle()
    assert [mail.rcpt_tos for mail in smtp_server.received] == [("claire@xn--lumire-6ua.example",)]
    assert smtp_server.received[0].message["Cc"] is None


# --- Figures --------------------------------------------------------------------------------------


def test_the_number_of_queries_does_not_grow_with_tests_and_shops(
    client_for: ClientFor, shop: Shop, user: User
) -> None:
    client, counts = client_for(user), []
    ShopFactory(company=shop.company)
    for more in (1, 30):
        ShopFactory.create_batch(more, company=shop.company)
        for _payment in range(more):
            played(shop, "accepted")
        client.get(url(shop))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url(shop)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_shop_gets_its_default_rule_for_regenerated_keys_switched_off(shop: Shop) -> None:
    made = services.shop_create(company=shop.company, actor=ACTOR, site_id="99999990", name="Neuve")
    assert not NotificationRule.objects.get(shop=made, reference="mail-key").enabled
