"""The pages of Paramétrage > Boutique > Clés: who opens them, proof of identity, what is shown once."""

import json
import time
from datetime import timedelta
from urllib.parse import unquote

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY as METHODS
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.db import connection
from django.test import Client
from django.utils import timezone

from companies.models import AuditEntry, Role, User
from companies.rights import permissions
from shops import services
from shops.models import Shop, ShopKey
from tests import walk
from tests.codes import code_of
from tests.factories import (
    PASSWORD,
    ShopFactory,
    ShopKeyFactory,
    UserFactory,
)
from tests.shops.keys.acting import (
    ClientFor,
    all_tests_played,
    confirmed,
    generate,
    secret_of,
    text,
    url,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _has_a_test_key(shop: Shop) -> None:
    ShopKeyFactory(shop=shop, kind="test", value="cle-de-test-neuve")


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
    client_for: ClientFor, shop: Shop, claire: User, name: str
) -> None:
    client = client_for(claire)
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


def test_a_proof_of_identity_that_ran_out_is_asked_for_again(client_for: ClientFor, shop: Shop, claire: User) -> None:
    client = confirmed(client_for(claire))
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


def test_a_log_in_alone_is_no_proof(shop: Shop, claire: User) -> None:
    client = Client()
    client.post("/accounts/login/", {"login": claire.login, "password": PASSWORD})
    assert client.get("/account/").status_code == 200
    assert client.get(url(shop, "test")).headers["Location"].startswith("/accounts/reauthenticate/")


@pytest.mark.usefixtures("one_step")
def test_a_second_factor_proves_identity(client_for: ClientFor, shop: Shop, claire: User) -> None:
    secret = generate_totp_secret()
    TOTP.activate(claire, secret)
    client = client_for(claire)
    page = text(client.get(client.get(url(shop, "test")).headers["Location"]))
    assert "Utiliser plutôt un code de l'application" in page
    code = code_of(secret)
    answer = client.post("/accounts/mfa/reauthenticate/", {"code": code, "next": url(shop, "test")})
    assert answer.headers["Location"] == url(shop, "test")
    assert client.get(url(shop, "test")).status_code == 200
    assert Authenticator.objects.filter(user=claire).exists()


def test_an_account_without_password_or_factor_chooses_a_password_first(
    client_for: ClientFor, shop: Shop, claire: User
) -> None:
    claire.set_unusable_password()
    claire.save()
    client = client_for(claire)
    assert client.get(url(shop, "test")).headers["Location"] == "/accounts/password/change/"
    assert client.post(url(shop, "test"), {"key_format": "NUMERIC", "seen": "{}"}).status_code == 302
    assert ShopKey.objects.get().generation == 1


def test_the_confirmation_names_the_consequences_and_the_format(
    client_for: ClientFor, shop: Shop, claire: User
) -> None:
    client = confirmed(client_for(claire))
    said = text(client.get(url(shop, "test")))
    assert "cesse de servir aussitôt" in said and "ALPHANUMERIC" in said and "NUMERIC" in said
    assert "Un e-mail" not in said
    all_tests_played(shop)
    said = text(client.get(url(shop, "production")))
    assert "Un e-mail, sans la clé" in said and "cesse de servir" not in said


def test_before_the_end_of_the_tests_the_address_of_the_production_key_leads_back(
    client_for: ClientFor, shop: Shop, claire: User
) -> None:
    client = confirmed(client_for(claire))
    assert "disponible après la phase de test" in text(client.get(url(shop, "production"), follow=True))
    data = {"key_format": "NUMERIC", "seen": json.dumps({"production": 0})}
    assert "disponible après la phase de test" in text(client.post(url(shop, "production"), data, follow=True))
    assert not ShopKey.objects.filter(kind="production").exists()
    for nowhere in ("autre", "rest-set-autre"):
        assert client.get(url(shop, nowhere)).status_code == 404


@pytest.mark.parametrize("seen", ["", "[]", "nul", '{"test": "1"}', "{}", '{"production": 0}'])
def test_a_form_without_its_generations_changes_nothing(
    client_for: ClientFor, shop: Shop, claire: User, seen: str
) -> None:
    client = confirmed(client_for(claire))
    client.post(url(shop, "test"), {"key_format": "NUMERIC", "seen": seen})
    assert ShopKey.objects.get().value == "cle-de-test-neuve"


def test_the_test_key_of_a_new_shop_is_shown_once(client_for: ClientFor, shop: Shop, claire: User) -> None:
    client = confirmed(client_for(claire))
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
    client_for: ClientFor, shop: Shop, claire: User
) -> None:
    client = confirmed(client_for(claire))
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
    client_for: ClientFor, shop: Shop, claire: User
) -> None:
    client = client_for(claire, fresh=True)
    data = {"algorithm_test": "SHA-1", "algorithm_production": "HMAC-SHA-256", "version": "1"}
    assert "Mode TEST : HMAC-SHA-256 reste accepté jusqu'au" in text(client.post(url(shop), data, follow=True))
    stale = text(client.post(url(shop), {**data, "algorithm_test": "HMAC-SHA-256"}))
    assert "modifiées par quelqu'un d'autre" in stale
    Shop.objects.update(algorithm_test_since=timezone.now() - timedelta(hours=24, seconds=1))
    assert "reste accepté" not in text(client.get(url(shop)))
    refused = client.post(url(shop), {**data, "algorithm_test": "MD5", "version": "2"})
    assert "MD5" in text(refused) and Shop.objects.get(pk=shop.pk).algorithm_test == "SHA-1"


@pytest.mark.parametrize(
    ("place", "sent", "kept"),
    [
        (
            "",
            {"algorithm_test": "SHA-1", "algorithm_production": "HMAC-SHA-256", "version": "1"},
            'value="SHA-1" selected',
        ),
        ("tests-done", {"reason": "Site déjà testé"}, 'value="Site déjà testé"'),
    ],
)
def test_every_way_to_change_something_about_keys_asks_who_one_is_and_keeps_what_was_typed(
    client_for: ClientFor, shop: Shop, claire: User, place: str, sent: dict[str, str], kept: str
) -> None:
    client = client_for(claire)
    where = url(shop, place) if place else url(shop)
    before = client.post(where, sent)
    assert before.status_code == 302
    asked = client.get(before.headers["Location"])
    assert asked.headers["Location"].startswith("/accounts/reauthenticate/?next=")
    assert not AuditEntry.objects.filter(action__in=("shop.updated", "shop.tests_done")).exists()
    following = asked.headers["Location"].partition("next=")[2]
    proved = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": unquote(following)})
    page = text(client.get(proved.headers["Location"]))
    assert "Votre identité est confirmée, rien n'est encore enregistré" in page
    assert kept in page
    assert not AuditEntry.objects.filter(action__in=("shop.updated", "shop.tests_done")).exists()
    assert client.post(where, sent).headers["Location"] == url(shop)
    assert AuditEntry.objects.filter(action__in=("shop.updated", "shop.tests_done")).count() == 1


def test_no_address_of_the_keys_page_writes_without_a_proof(client_for: ClientFor, shop: Shop, claire: User) -> None:
    """Every route below the page of keys, the next one included: a guard for who adds one."""
    client = client_for(claire)
    routes = [pattern for pattern in walk.routes() if pattern.startswith("settings/shops/<str:site_id>/keys/")]
    assert len(routes) >= 4
    sent = {
        "algorithm_test": "SHA-1",
        "algorithm_production": "SHA-1",
        "version": "1",
        "reason": "x",
        "seen": '{"test": 1}',
    }
    before = list(ShopKey.objects.values("pk", "generation", "shown_at")), list(Shop.objects.values())
    for route in routes:
        path = "/" + route.replace("<str:site_id>", shop.site_id).replace("<slug:name>", "test")
        assert "<" not in path
        answer = client.post(path, {**sent, "key_format": "ALPHANUMERIC"})
        assert answer.status_code == 302, path
    assert (list(ShopKey.objects.values("pk", "generation", "shown_at")), list(Shop.objects.values())) == before
    assert not AuditEntry.objects.exists()


def test_a_former_key_is_kept_for_a_day_encrypted_and_then_erased(
    client_for: ClientFor, shop: Shop, claire: User
) -> None:
    client = confirmed(client_for(claire))
    client.post(url(shop, "test"), {"seen": '{"test": 1}', "key_format": "ALPHANUMERIC"})
    key = ShopKey.objects.get(shop=shop, kind="test")
    now = timezone.now()
    assert key.values_at(now) == (key.value, "cle-de-test-neuve")
    assert "X-BOM-Signature-Previous" in text(client.get(url(shop)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT former_value FROM shops_shopkey")
        assert "cle-de-test-neuve" not in cursor.fetchone()[0]
    services.former_keys_forget(now + timedelta(hours=23))
    assert ShopKey.objects.get(pk=key.pk).former_value == "cle-de-test-neuve"
    assert key.values_at(now + timedelta(hours=25)) == (key.value,)
    services.former_keys_forget(now + timedelta(hours=25))
    forgotten = ShopKey.objects.get(pk=key.pk)
    assert (forgotten.former_value, forgotten.former_until) == ("", None)
