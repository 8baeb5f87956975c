"""The rule's page: what to allow in a firewall, user and password of protected URLs; provisioning of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from backoffice.provisioning.applying import provision
from backoffice.provisioning.work import ProvisioningError
from companies.models import Role
from notifications.calls import requests as calls
from notifications.calls.door import USER_AGENT
from notifications.models import CallCredential, NotificationRule
from shops.models import Shop
from tests.factories import NotificationRuleFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def rule(shop: Shop) -> NotificationRule:
    return NotificationRuleFactory(ipn=True, shop=shop, reference="ipn-end", url_test="https://recette.example/ipn")


def page(rule: NotificationRule) -> str:
    return f"/settings/notification-rules/{rule.shop.site_id}/{rule.reference}/"


def typed(rule: NotificationRule, **more: str) -> dict[str, str]:
    return {
        "label": rule.label, "enabled": "on", "to_manager": "on", "others": "", "profile": "standard", "version": str(rule.version),
        "url_test": rule.url_test, "url_production": rule.url_production, "rest_url_test": "", "rest_url_production": "",
        **more,
    }  # fmt: skip


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace("&quot;", '"')


def test_the_page_names_the_addresses_and_the_agent_to_allow(
    client_for: ClientFor, rule: NotificationRule, settings: Any
) -> None:
    client = client_for(UserFactory(company=rule.shop.company))
    said = text(client.get(page(rule)))
    assert USER_AGENT in said and "ne viennent pas d'adresses fixes" in said
    settings.IPN_SOURCE_ADDRESSES = ("203.0.113.4", "2001:db8:7::/48")
    said = text(client.get(page(rule)))
    assert "<code>203.0.113.4</code>" in said and "<code>2001:db8:7::/48</code>" in said


def test_the_document_for_receivers_names_what_the_product_does() -> None:
    said = (Path(django_settings.BASE_DIR) / "docs" / "ipn.md").read_text()
    for name in (USER_AGENT, "IPN_SOURCE_ADDRESSES", calls.FORMER_SIGNATURES, "Authorization: Basic", "auth_test"):
        assert name in said


def test_user_and_password_are_saved_and_never_shown_again(client_for: ClientFor, rule: NotificationRule) -> None:
    client = client_for(UserFactory(company=rule.shop.company))
    sent = typed(rule, auth_user_test="recette-7391", auth_password_test="s3cret-7391")
    assert client.post(page(rule), sent).status_code == 302
    kept = CallCredential.objects.get()
    assert (kept.mode, kept.username, kept.password) == ("TEST", "recette-7391", "s3cret-7391")
    seen = [
        client.get(path)
        for path in (
            page(rule),
            "/settings/company/history/",
            "/settings/company/history/?format=csv",
            "/settings/notification-rules/all/?format=csv",
        )
    ]
    staff = client_for(StaffFactory(is_superuser=True))
    seen.append(staff.get(f"/admin/notifications/notificationrule/{rule.pk}/change/"))
    assert "TEST : ••••••" in text(seen[-1])
    for response in seen:
        body = b"".join(response.streaming_content) if response.streaming else response.content
        # Whole: four figures of it come up in identifiers as well.
        assert b"recette-7391" not in body and b"s3cret-7391" not in body
    assert "accès protégé en mode TEST" in text(seen[1]).replace("Accès", "accès")
    # Empty fields keep both.
    rule.refresh_from_db()
    client.post(page(rule), typed(rule, label="Autre"))
    assert CallCredential.objects.get().password == "s3cret-7391"
    rule.refresh_from_db()
    client.post(page(rule), typed(rule, auth_remove_test="on"))
    assert not CallCredential.objects.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"auth_user_test": "recette"}, "Indiquez l'identifiant et le mot de passe, ou aucun des deux."),
        ({"auth_password_test": "secret-1"}, "Indiquez l'identifiant et le mot de passe, ou aucun des deux."),
        ({"auth_user_test": "a:b", "auth_password_test": "secret-1"}, "deux-points"),
        ({"auth_user_production": "é\u202e", "auth_password_production": "secret-1"}, "U+202E"),
    ],
)
def test_half_of_them_or_what_cannot_be_sent_is_refused_and_the_password_not_repeated(
    client_for: ClientFor, rule: NotificationRule, more: dict[str, str], said: str
) -> None:
    answer = client_for(UserFactory(company=rule.shop.company)).post(page(rule), typed(rule, **more))
    assert answer.status_code == 200 and said in text(answer) and "secret-1" not in text(answer)
    assert not CallCredential.objects.exists()


def test_a_url_that_moves_to_another_server_asks_for_them_again(client_for: ClientFor, rule: NotificationRule) -> None:
    client = client_for(UserFactory(company=rule.shop.company))
    client.post(page(rule), typed(rule, auth_user_test="recette", auth_password_test="secret-1"))
    rule.refresh_from_db()
    moved = typed(rule, url_test="https://autre.example/ipn")
    assert "L'URL mène à un autre serveur".lower() in text(client.post(page(rule), moved)).lower()
    moved |= {"auth_user_test": "recette", "auth_password_test": "secret-2"}
    assert client.post(page(rule), moved).status_code == 302
    assert CallCredential.objects.get().password == "secret-2"


def test_who_may_only_look_sees_none_of_it_and_changes_nothing(client_for: ClientFor, rule: NotificationRule) -> None:
    client = client_for(UserFactory(company=rule.shop.company, role=Role.VIEWER))
    assert client.get(page(rule)).status_code == 200
    answer = client.post(page(rule), typed(rule, auth_user_test="a", auth_password_test="b"))
    assert answer.status_code == 403 and not CallCredential.objects.exists()


def document(rule: NotificationRule, **more: Any) -> dict[str, Any]:
    entry = {
        "reference": rule.reference, "type": "ipn_call", "triggers": rule.triggers, "label": rule.label,
        "url_test": rule.url_test, "auto_retry": False, **more,
    }  # fmt: skip
    shop = {"site_id": rule.shop.site_id, "rules": [entry]}
    return {"companies": [{"reference": rule.shop.company.reference, "shops": [shop]}]}


def test_a_provisioning_file_gives_keeps_and_removes_them(rule: NotificationRule) -> None:
    given = document(rule, auth_test={"user": "recette", "password": "secret-1"})
    assert provision(given).updated == 1
    assert CallCredential.objects.get().username == "recette"
    assert provision(given).updated == 0
    assert provision(document(rule)).updated == 0
    assert CallCredential.objects.count() == 1
    assert provision(document(rule, auth_test=None)).updated == 1
    assert not CallCredential.objects.exists()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("secret-1", "auth_test"), ({"user": "x"}, "auth_test.password"), ({"user": 1, "password": "secret-1"}, "auth_test.user"),
        ({"user": "a:b", "password": "secret-1"}, "credentials"), ({"user": "a", "password": "secret-1", "x": 1}, "auth_test"),
    ],
)  # fmt: skip
def test_a_wrong_one_in_a_file_is_refused_by_its_path_and_not_repeated(
    rule: NotificationRule, value: Any, path: str
) -> None:
    with pytest.raises(ProvisioningError) as refused:
        provision(document(rule, auth_test=value))
    assert f"rules[0].{path}" in str(refused.value) and "secret-1" not in str(refused.value)
