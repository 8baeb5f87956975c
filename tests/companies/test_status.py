"""Suspended and closed companies and shops: what they send, show and refuse (docs/rules.md 4.12)."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from companies import services, status
from companies.audit import Actor
from companies.models import AuditEntry, Company, Role, Status, User
from companies.team import services as team_services
from notifications.events.publishing import publish
from notifications.models import Delivery, NotificationRule
from notifications.outbox.services import delivery_resend
from notifications.rules.services import rule_create, rule_update
from notifications.settings_facts import company_facts
from notifications.tables.compute import delivery_tables
from shops import services as shop_services
from shops.models import Shop
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    MembershipFactory,
    NotificationRuleFactory,
    SftpAccountFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)
from tests.http.test_walker import EXPECTED

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
INACTIVE = [Status.SUSPENDED, Status.CLOSED]


@pytest.fixture
def client_for(client_for: ClientFor) -> ClientFor:
    """Clients that have just proved who they are, unless `fresh=False`."""

    def log_in(user: User, *, fresh: bool = True) -> Client:
        return client_for(user, fresh=fresh)

    return log_in


def put(obj: Any, state: str, reason: str = "Factures impayées") -> None:
    service = services.company_set_status if isinstance(obj, Company) else shop_services.shop_set_status
    service(
        **{
            "company" if isinstance(obj, Company) else "shop": obj,
            "actor": Actor("Équipe"),
            "state": state,
            "reason": reason,
            # What it tells its contacts is the matter of test_security_mail.
            "notify": False,
        }
    )
    obj.refresh_from_db()


def actor_of(user: User) -> Actor:
    return Actor(user.get_full_name(), user)


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'")


# --- What is sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", INACTIVE)
@pytest.mark.parametrize("what", ["company", "shop"])
def test_only_account_and_security_mail_is_sent(
    company: Company, shop: Shop, claire: User, state: str, what: str
) -> None:
    NotificationRuleFactory(shop=shop)
    put(company if what == "company" else shop, state)
    company, shop = Company.objects.get(pk=company.pk), Shop.objects.get(pk=shop.pk)
    publish(type="shop.created", company=company, shop=shop)
    publish(type="payment.accepted", company=company, shop=shop)
    assert not Delivery.objects.filter(status=Delivery.Status.QUEUED).exists()
    team_services.user_update(user=claire, actor=Actor("Équipe"), email="autre@x.example")
    team_services.password_reset_request(user=User.objects.get(pk=claire.pk))
    assert sorted(Delivery.objects.filter(status=Delivery.Status.QUEUED).values_list("notification", flat=True)) == [
        "account_security", "account_security", "user_account",
    ]  # fmt: skip


@pytest.mark.parametrize("state", INACTIVE)
def test_the_tables_say_why_nothing_comes(client_for: ClientFor, company: Company, shop: Shop, state: str) -> None:
    manager, administrator = company.manager_contact, UserFactory(company=company)
    assert manager is not None
    put(shop, state)
    tables = {table.email: table for table in delivery_tables(company_facts(company)).addresses}
    assert {line.notification for line in tables[manager.email].receives} == {"consistency_report", "newsletter"}
    put(company, state)
    page = text(client_for(administrator).get("/notifications/addresses/", {"address": manager.email}))
    assert {"suspended": "suspendue", "closed": "fermée"}[state] in page
    tables = {
        table.email: table for table in delivery_tables(company_facts(Company.objects.get(pk=company.pk))).addresses
    }
    assert tables[manager.email].receives == [] and tables[manager.email].why_not
    assert [line.notification for line in tables[administrator.email].receives] == ["user_account"]


@pytest.mark.parametrize("state", INACTIVE)
def test_nothing_is_resent_by_hand(
    client_for: ClientFor, company: Company, shop: Shop, claire: User, state: str
) -> None:
    sent = DeliveryFactory(event=EventFactory(shop=shop), status=Delivery.Status.SENT)
    put(shop, state)
    with pytest.raises(ValidationError, match="suspendue ou fermée"):
        delivery_resend(delivery=Delivery.objects.get(pk=sent.pk), actor=actor_of(StaffFactory()))
    page = client_for(claire).post(f"/notifications/journal/{sent.pk}/resend/", follow=True)
    assert page.status_code == 403 if state == Status.CLOSED else "suspendue ou fermée" in text(page)
    assert Delivery.objects.count() == 1


# --- What can be changed --------------------------------------------------------------------------


def changes(
    company: Company, shop: Shop, user: User, rule: NotificationRule, sftp: Any
) -> dict[str, Callable[[Actor], object]]:
    """Every write of the services that a merchant can cause, by name."""
    return {
        "company": lambda actor: services.company_update(company=company, actor=actor, language="en"),
        "contact": lambda actor: services.contact_save(company=company, kind="manager", actor=actor, phone="1"),
        "technical": lambda actor: services.technical_contact_remove(company=company, actor=actor),
        "swap": lambda actor: services.contacts_swap(company=company, actor=actor),
        "user": lambda actor: team_services.user_create(company=company, actor=actor, login="n", email="n@x.example"),
        "rights": lambda actor: team_services.user_update(user=user, actor=actor, rights=team_services.Rights(role=Role.MANAGER)),
        "invite": lambda actor: team_services.user_invite(user=user, actor=actor),
        "sftp": lambda actor: team_services.sftp_account_create(company=company, actor=actor, login="n", email="n@x.example"),
        "sftp email": lambda actor: team_services.sftp_account_update(account=sftp, actor=actor, email="n@x.example"),
        "sftp reset": lambda actor: team_services.sftp_password_reset(account=sftp, actor=actor),
        "new shop": lambda actor: shop_services.shop_create(company=company, actor=actor, site_id="10000009", name="N"),
        "shop": lambda actor: shop_services.shop_update(shop=shop, actor=actor, name="Autre"),
        "contract": lambda actor: shop_services.contract_save(shop=shop, actor=actor, number="1", network="CB"),
        "key": lambda actor: shop_services.key_save(shop=shop, kind="test", value="abcdefgh12345678", actor=actor),
        "new rule": lambda actor: rule_create(
            shop=shop, actor=actor, reference="n", type="merchant_email", label="N", triggers=["payment.accepted"]
        ),
        "rule": lambda actor: rule_update(rule=rule, actor=actor, enabled=False),
    }  # fmt: skip


NAMES = ["company", "contact", "technical", "swap", "user", "rights", "invite", "sftp", "sftp email", "sftp reset",
         "new shop", "shop", "contract", "key", "new rule", "rule"]  # fmt: skip
OF_A_SHOP = {"shop", "contract", "key", "new rule", "rule"}


@pytest.mark.parametrize("name", NAMES)
def test_services_refuse_changes_in_a_closed_company_and_take_them_in_a_suspended_one(
    company: Company, shop: Shop, claire: User, name: str
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER)
    user.set_unusable_password()
    user.save()
    rule, sftp = NotificationRuleFactory(shop=shop), SftpAccountFactory(company=company)

    def run(actor: Actor) -> object:
        fresh = Company.objects.get(pk=company.pk)
        fresh_shop = Shop.objects.select_related("company").get(pk=shop.pk)
        fresh_rule = NotificationRule.objects.select_related("shop__company").get(pk=rule.pk)
        fresh_sftp = type(sftp).objects.select_related("company").get(pk=sftp.pk)
        fresh_user = User.objects.select_related("company").get(pk=user.pk)
        return changes(fresh, fresh_shop, fresh_user, fresh_rule, fresh_sftp)[name](actor)

    assert set(changes(company, shop, user, rule, sftp)) == set(NAMES)
    put(company, Status.CLOSED)
    before = AuditEntry.objects.count()
    with pytest.raises(status.Closed, match="Maison Lumière est fermée"):
        run(actor_of(claire))
    put(company, Status.ACTIVE)
    put(shop, Status.CLOSED)
    if name in OF_A_SHOP:
        with pytest.raises(status.Closed, match="Lumière Paris est fermée"):
            run(actor_of(claire))
    assert AuditEntry.objects.count() == before + 2
    put(shop, Status.SUSPENDED)
    put(company, Status.SUSPENDED)
    run(actor_of(claire))


def test_the_team_and_commands_still_write_in_a_closed_company(company: Company) -> None:
    put(company, Status.CLOSED)
    services.contact_save(company=company, kind="manager", actor=actor_of(StaffFactory()), phone="1")
    services.contact_save(company=company, kind="manager", actor=Actor.command("provision"), phone="2")
    assert company.contacts.get(kind="manager").phone == "2"


def test_accounts_of_a_closed_company_can_still_be_disabled_and_reset(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER)
    put(company, Status.CLOSED)
    client = client_for(claire)
    client.post(f"/settings/company/users/{user.pk}/reset/")
    client.post(f"/settings/company/users/{user.pk}/disable/")
    user.refresh_from_db()
    assert not user.is_active and not user.has_usable_password()
    page = client.post(f"/settings/company/users/{user.pk}/enable/", follow=True)
    assert "Maison Lumière est fermée" in text(page)
    # One's own account and password are one's own.
    assert client.post("/account/", {"email": claire.email, "first_name": "Zoé", "language": "fr"}).status_code == 302


@pytest.mark.one_database
@pytest.mark.parametrize("route", sorted(route for route in EXPECTED if EXPECTED[route][0] == 302))
def test_no_page_of_a_closed_company_changes_anything(
    client_for: ClientFor, company: Company, shop: Shop, claire: User, route: str
) -> None:
    """Whatever page takes a POST: it is refused, or it writes nothing but what secures an account."""
    user = UserFactory(company=company, role=Role.VIEWER)
    values = {
        "users/<int:key>": f"users/{user.pk}",
        "<uuid:key>": str(SftpAccountFactory(company=company).pk if "sftp" in route else DeliveryFactory(event=EventFactory(shop=shop)).pk),
        "<str:site_id>": shop.site_id,
        "<slug:reference>": NotificationRuleFactory(shop=shop).reference,
    }  # fmt: skip
    url = route
    for mark, value in values.items():
        url = url.replace(mark, value)
    if "<" in url:
        pytest.skip("names an object that this test does not make")
    put(company, Status.CLOSED)
    before = AuditEntry.objects.count()
    answer = client_for(claire).post("/" + url, {"enabled": "0"})
    written = set(
        AuditEntry.objects.order_by("-pk").values_list("action", flat=True)[: AuditEntry.objects.count() - before]
    )
    assert answer.status_code in (200, 302, 403, 405, EXPECTED[route][3])
    assert written <= {"user.password_reset", "user.unlocked", "user.updated", "sftp_account.updated"}
    if answer.status_code == 403:
        assert "est fermée" in text(answer)


# --- What is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "word"), [(Status.SUSPENDED, "suspendue"), (Status.CLOSED, "fermée")])
def test_every_page_of_the_company_says_it_with_reason_and_whom_to_ask(
    client_for: ClientFor, company: Company, shop: Shop, claire: User, state: str, word: str
) -> None:
    put(company, state)
    client = client_for(claire)
    for path in (
        "/",
        "/notifications/addresses/",
        "/settings/company/",
        "/settings/shops/10000001/configuration/",
        "/account/",
    ):
        page = text(client.get(path))
        assert f"Votre société est {word}" in page and "Factures impayées" in page
        assert "votre interlocuteur de la plateforme" in page


def test_the_pages_of_a_closed_shop_say_it_and_others_do_not(
    client_for: ClientFor, company: Company, shop: Shop, claire: User
) -> None:
    ShopFactory(company=company, site_id="10000002")
    put(shop, Status.CLOSED)
    client = client_for(claire)
    assert "La boutique Lumière Paris est fermée" in text(client.get("/settings/shops/10000001/configuration/"))
    assert "La boutique Lumière Paris est fermée" in text(
        client.get("/settings/notification-rules/", {"shop": "10000001"})
    )
    assert "est fermée" not in text(client.get("/settings/shops/10000002/configuration/"))
    page = text(client.get("/settings/shops/10000001/configuration/"))
    assert "data-save-bar" not in page and "votre rôle ne permet pas" not in page
    assert "data-save-bar" in text(client.get("/settings/shops/10000002/configuration/"))
    answer = client.post("/settings/shops/10000001/configuration/", {"name": "X"})
    assert answer.status_code == 403 and "La boutique Lumière Paris est fermée" in text(answer)


def test_a_closed_company_is_read_and_its_accounts_are_still_looked_after(
    client_for: ClientFor, company: Company, shop: Shop, claire: User
) -> None:
    put(company, Status.CLOSED)
    client = client_for(claire)
    page = text(client.get("/settings/company/"))
    assert "data-save-bar" not in page and "votre rôle ne permet pas" not in page
    assert client.get("/settings/company/users/").status_code == 200
    assert "data-save-bar" not in text(client.get("/settings/shops/10000001/configuration/"))


def test_a_state_needs_a_reason_and_is_written_once(company: Company) -> None:
    with pytest.raises(ValidationError, match="motif"):
        put(company, Status.CLOSED, reason=" ")
    put(company, Status.CLOSED)
    put(company, Status.CLOSED)
    assert [entry.changes["status"] for entry in AuditEntry.objects.all()] == [["active", "closed"]]


# --- Several companies ----------------------------------------------------------------------------


def test_a_form_opened_before_a_switch_is_not_saved_elsewhere(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    other = CompanyFactory(reference="autre", name="Autre SARL")
    MembershipFactory(user=claire, company=other)
    client = client_for(claire)
    response = client.post("/company/", {"company": str(other.pk)}, follow=True)
    assert "Vous travaillez maintenant pour Autre SARL" in text(response)
    page = client.post(
        "/settings/company/users/new/",
        {"opened_under": "lumiere", "login": "bob", "email": "bob@x.example", "role": "viewer", "coverage": "all"},
        follow=True,
    )
    assert "Rien n'est enregistré" in text(page) and not User.objects.filter(login="bob").exists()


def test_a_link_to_a_shop_of_another_of_ones_companies_offers_the_switch(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    other = CompanyFactory(reference="autre", name="Autre SARL")
    ShopFactory(company=other, site_id="20000001")
    url = "/settings/shops/20000001/configuration/"
    client = client_for(claire)
    assert client.get(url).status_code == 404
    MembershipFactory(user=claire, company=other)
    page = text(client.get(url))
    assert "Cette page appartient à Autre SARL" in page and f'value="{url}"' in page
    assert client.post(url, {}).status_code == 404
    answer = client.post("/company/", {"company": str(other.pk), "next": url})
    assert answer.headers["Location"] == url
    assert client.get(url).status_code == 200


def test_many_companies_are_searched_on_a_page(client_for: ClientFor, company: Company, claire: User) -> None:
    for number in range(12):
        MembershipFactory(user=claire, company__name=f"Cliente {number:02}", role=Role.VIEWER)
    client = client_for(claire)
    assert text(client.get("/")).count('name="company"') == 8
    page = client.get("/companies/", {"q": "Cliente 1"})
    assert [item.company.name for item in page.context["page"]] == ["Cliente 10", "Cliente 11"]
    assert client.post("/company/", {"company": str(CompanyFactory().pk)}).status_code == 404
