"""Paramétrage > Règles de notifications."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from companies.models import AuditEntry, Role, User
from notifications.models import NotificationRule
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def ipn() -> NotificationRule:
    shop = ShopFactory(company=CompanyFactory(manager__email="claire@lumiere.example"))
    return NotificationRuleFactory(shop=shop, ipn=True, reference="ipn-own", label="Appel maison")


@pytest.fixture
def user(ipn: NotificationRule) -> User:
    return UserFactory(company=ipn.shop.company, role=Role.MANAGER)


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace("<wbr>", "")


def url(rule: NotificationRule, end: str = "") -> str:
    return f"/settings/notification-rules/{rule.shop.site_id}/{rule.reference}/{end}"


def form(rule: NotificationRule, **changed: str) -> dict[str, str]:
    rule.refresh_from_db()
    return {
        "label": rule.label,
        "enabled": "on",
        "to_manager": "on",
        "others": "",
        "url_test": rule.url_test,
        "url_production": rule.url_production,
        "rest_url_test": "",
        "rest_url_production": "",
        "profile": "standard",
        "version": str(rule.version),
        **changed,
    }


def test_the_list_opens_the_tab_of_the_rule_asked_for(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    mail = NotificationRuleFactory(shop=ipn.shop, label="Courriel")
    said = text(
        client_for(user).get("/settings/notification-rules/", {"shop": ipn.shop.site_id, "rule": mail.reference})
    )
    assert f'id="rule-{mail.reference}" class="table-active"' in said and "Appel maison" not in said
    assert "E-mail gestionnaire (claire@lumiere.example)" in re.sub("<[^>]+>", "", said)


def test_recipients_are_saved_and_audited(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    said = text(client_for(user).post(url(ipn), form(ipn, others="dev@agence.example"), follow=True))
    assert "+1 notification vers" in said and "dev@agence.example" in said
    ipn.refresh_from_db()
    assert ipn.recipients == ["@shop_manager", "dev@agence.example"]
    assert AuditEntry.objects.get(action="rule.updated").actor == user


def test_nobody_is_confirmed_first(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    client = client_for(user)
    said = text(client.post(url(ipn), form(ipn, to_manager="")))
    assert "Personne ne sera prévenu : je confirme" in said and "confirmez-le" in said
    ipn.refresh_from_db()
    assert ipn.recipients == ["@shop_manager"]
    client.post(url(ipn), form(ipn, to_manager="", nobody="on"))
    ipn.refresh_from_db()
    assert ipn.recipients == [] and ipn.emptied_by == user.get_full_name()


def test_a_mail_to_the_merchant_needs_a_recipient(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    mail = NotificationRuleFactory(shop=ipn.shop)
    said = text(client_for(user).post(url(mail), form(mail, to_manager="")))
    assert "a au moins un destinataire" in said
    mail.refresh_from_db()
    assert mail.recipients == ["@shop_manager"]


def test_a_bad_address_or_url_is_named_and_kept(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    client = client_for(user)
    assert "« dev@ »" in text(client.post(url(ipn), form(ipn, others="dev@")))
    said = text(client.post(url(ipn), form(ipn, url_test="ftp://x.example")))
    assert "commence par https://" in said and 'value="ftp://x.example"' in said


def test_http_in_production_is_saved_once_it_is_confirmed(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    client = client_for(user)
    said = text(client.post(url(ipn), form(ipn, url_production="http://shop.example/ipn")))
    assert "confirmez « http:// accepté en mode PRODUCTION »" in said
    assert 'value="http://shop.example/ipn"' in said
    client.post(url(ipn), form(ipn, url_production="http://shop.example/ipn", http_confirmed="on"))
    ipn.refresh_from_db()
    assert (ipn.url_production, ipn.http_confirmed) == ("http://shop.example/ipn", True)


def test_a_stale_version_is_refused(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    client, old = client_for(user), form(ipn, label="Trop tard")
    client.post(url(ipn), form(ipn, label="Premier"))
    assert "modifiées par quelqu'un d'autre" in text(client.post(url(ipn), old))
    ipn.refresh_from_db()
    assert ipn.label == "Premier"


def test_a_rule_is_switched_off_and_on(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    client = client_for(user)
    assert "est désactivée" in text(client.post(url(ipn, "switch/"), {"enabled": "0"}, follow=True))
    ipn.refresh_from_db()
    assert not ipn.enabled
    client.post(url(ipn, "switch/"), {"enabled": "1"})
    ipn.refresh_from_db()
    assert ipn.enabled


def test_viewers_look_and_strangers_find_nothing(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    viewer = client_for(UserFactory(company=ipn.shop.company, role=Role.VIEWER))
    assert viewer.get(url(ipn)).status_code == 200
    assert viewer.post(url(ipn), form(ipn)).status_code == 403
    assert viewer.post(url(ipn, "switch/"), {"enabled": "0"}).status_code == 403
    stranger = client_for(UserFactory())
    assert stranger.get(url(ipn)).status_code == 404
    assert stranger.get("/settings/notification-rules/", {"shop": ipn.shop.site_id}).status_code == 404
