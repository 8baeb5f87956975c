"""« modifié par … le … » on every page of settings: who changed what it shows, when, and the way to that history."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client
from django.utils import timezone

from backoffice.site.menu import MENU
from companies import services as company_services
from companies.audit import Actor, record
from companies.models import AuditEntry, Role, User
from companies.team import services as team_services
from notifications.rules import services as rule_services
from notifications.tokens import token_create
from shops import services as shop_services
from shops.dataforms import selectors
from shops.dataforms import services as data_form_services
from shops.orders import services as order_services
from tests.factories import StaffFactory, UserFactory
from tests.http.edits import EDITS, World
from tests.http.test_concurrent_edits import opened, text

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@dataclass(frozen=True)
class Page:
    """One page of settings.

    Attributes:
        url: the page.
        service: a change by somebody who has no page.
        edit: the row of EDITS whose form changes what the page shows; empty where no form does.
    """

    url: Callable[[World], str]
    service: Callable[[World, Actor], Any]
    edit: str = ""


def _user(w: World, actor: Actor) -> Any:
    return team_services.user_update(user=w.account, actor=actor, phone="+33 1 02 03 04 05")


def _sftp(w: World, actor: Actor) -> Any:
    return team_services.sftp_account_update(account=w.sftp, actor=actor, email="neuf@sftp.example")


def _contract(w: World, actor: Actor) -> Any:
    return shop_services.contract_update(contract=w.contract, actor=actor, number="4444", network="CB")


def _shop(w: World, actor: Actor) -> Any:
    return shop_services.shop_update(shop=w.shop, actor=actor, algorithm_test="SHA-1", url="https://neuf.example")


def _rule(w: World, actor: Actor) -> Any:
    return rule_services.rule_update(rule=w.rule, actor=actor, label="Neuf")


def _data_form(w: World, actor: Actor) -> Any:
    form = selectors.form_of(w.data_form.shop)
    return data_form_services.field_add(shop=w.shop, actor=actor, seen=form.version, code="city")


def _template(w: World, actor: Actor) -> Any:
    return order_services.order_template_save(shop=w.shop, actor=actor, template=w.template, name="Neuf")


def _company(w: World, actor: Actor) -> Any:
    return company_services.company_update(company=w.company, actor=actor, incident_emails=["neuf@mienne.example"])


def _token(w: World, actor: Actor) -> Any:
    return token_create(name="ERP", company=w.company, actor=actor)


RULES = "settings/notification-rules/<str:site_id>/<slug:reference>/"
FORM = "settings/shops/<str:site_id>/data-form/"
PAGES: dict[str, Page] = {
    "Infos Société": Page(lambda w: "/settings/company/", _company, "settings/company/"),
    "users": Page(lambda w: "/settings/company/users/", _user, "settings/company/users/<int:key>/"),
    "user": Page(EDITS["settings/company/users/<int:key>/"].url, _user, "settings/company/users/<int:key>/"),
    "rights by shop": Page(
        EDITS["settings/company/users/<int:key>/shops/"].url, _user, "settings/company/users/<int:key>/shops/"
    ),
    "SFTP accounts": Page(
        lambda w: "/settings/company/sftp-accounts/", _sftp, "settings/company/sftp-accounts/<uuid:key>/"
    ),
    "SFTP account": Page(
        EDITS["settings/company/sftp-accounts/<uuid:key>/"].url, _sftp, "settings/company/sftp-accounts/<uuid:key>/"
    ),
    "API tokens": Page(lambda w: "/settings/company/api-tokens/", _token),
    "3D Secure": Page(
        lambda w: "/settings/company/authentication/",
        _contract,
        "settings/company/authentication/<int:key>/activate/",
    ),
    "shops": Page(
        # Two, or the list leads straight to the only one.
        lambda w: "/settings/shops/?page=1",
        _shop,
        "settings/shops/<str:site_id>/configuration/",
    ),
    "configuration": Page(
        EDITS["settings/shops/<str:site_id>/configuration/"].url, _shop, "settings/shops/<str:site_id>/configuration/"
    ),
    "keys": Page(EDITS["settings/shops/<str:site_id>/keys/"].url, _shop, "settings/shops/<str:site_id>/keys/"),
    "contracts": Page(
        lambda w: f"/settings/shops/{w.shop.site_id}/contracts/",
        _contract,
        "settings/shops/<str:site_id>/contracts/<int:key>/",
    ),
    "contract": Page(
        EDITS["settings/shops/<str:site_id>/contracts/<int:key>/"].url,
        _contract,
        "settings/shops/<str:site_id>/contracts/<int:key>/",
    ),
    "rules of a shop": Page(lambda w: f"/settings/notification-rules/?shop={w.shop.site_id}", _rule, RULES),
    "rules of all shops": Page(lambda w: "/settings/notification-rules/all/", _rule, RULES),
    "rule": Page(EDITS[RULES].url, _rule, RULES),
    "content of a mail": Page(EDITS[f"{RULES}content/"].url, _rule, f"{RULES}content/"),
    "data form": Page(lambda w: f"/settings/shops/{w.data_form.shop.site_id}/data-form/", _data_form, FORM),
    "texts of the data form": Page(EDITS[f"{FORM}texts/"].url, _data_form, f"{FORM}texts/"),
    "templates": Page(
        lambda w: f"/payment-orders/templates/?shop={w.shop.site_id}",
        _template,
        "payment-orders/templates/<str:site_id>/<int:key>/",
    ),
    "template": Page(
        EDITS["payment-orders/templates/<str:site_id>/<int:key>/"].url,
        _template,
        "payment-orders/templates/<str:site_id>/<int:key>/",
    ),
}
# Entries of the menu → the pages behind them; a new entry under Paramétrage needs a row.
MENU_PAGES: dict[str, tuple[str, ...]] = {
    "/settings/company/": ("Infos Société",),
    "/settings/company/users/": ("users", "user", "rights by shop"),
    "/settings/company/sftp-accounts/": ("SFTP accounts", "SFTP account"),
    "/settings/company/api-tokens/": ("API tokens",),
    "/settings/company/authentication/": ("3D Secure",),
    "/settings/shops/": ("shops", "configuration"),
    "/settings/shops/keys/": ("keys",),
    "/settings/shops/contracts/": ("contracts", "contract"),
    "/settings/notification-rules/": ("rules of a shop", "rules of all shops", "rule", "content of a mail"),
    "/settings/shops/data-form/": ("data form", "texts of the data form"),
    "/payment-orders/": ("templates", "template"),
    # The history itself.
    "/settings/company/history/": (),
}


@pytest.fixture
def world(client_for: Callable[..., Client]) -> World:
    found = World(client_for)
    # What the pages are about exists, without any history.
    for name in ("account", "sftp", "contract", "rule", "template", "data_form"):
        getattr(found, name)
    return found


def note(response: Any) -> tuple[str, str]:
    """The words of « modifié par » on a page, and where its link leads; empty for none."""
    found = re.search(r'<p class="[^"]*last-change[^"]*">(.*?)</p>', response.content.decode(), re.S)
    if found is None:
        return "", ""
    link = re.search(r'href="([^"]*)"', found[1])
    return " ".join(re.sub(r"<[^>]+>", "", found[1]).split()), unquote(link[1]).replace("&amp;", "&") if link else ""


def test_every_entry_of_the_menus_settings_has_its_pages_here() -> None:
    settings = {entry.path for section in MENU for entry in section.entries if entry.path.startswith("/settings/")}
    assert settings <= set(MENU_PAGES), "say which pages stand behind the entry, each with « modifié par »"
    assert {name for names in MENU_PAGES.values() for name in names} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_nobody_changed_says_nothing(name: str, world: World) -> None:
    response = world.second.get(PAGES[name].url(world))
    assert response.status_code == 200 and note(response) == ("", "")


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if page.edit])
def test_a_change_made_through_the_page_stands_on_it_with_name_and_time(name: str, world: World) -> None:
    page = PAGES[name]
    edit = EDITS[page.edit]
    form = opened(edit, world, world.first)
    sent = form.sent(**(edit.first if not callable(edit.first) else {}))
    assert world.first.post(edit.url(world), sent).status_code == 302

    words, link = note(world.second.get(page.url(world)))
    local = timezone.localtime(AuditEntry.objects.order_by("-at").first().at)
    assert words.startswith(f"modifié par Alice Avant le {local:%d/%m/%Y} à "), words
    history = world.second.get(link)
    said = text(history)
    assert history.status_code == 200 and "Alice Avant" in said


@pytest.mark.one_database
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("who", ["staff", "command", "platform"])
def test_changes_by_the_team_a_command_and_the_platform_are_named_too_in_both_languages(
    name: str, who: str, world: World
) -> None:
    staff = StaffFactory(first_name="Stella", last_name="Equipe")
    actor = {
        "staff": Actor(staff.get_full_name(), staff),
        "command": Actor.command("provision"),
        "platform": Actor("Plateforme"),
    }[who]
    page = PAGES[name]
    page.service(world, actor)
    url = page.url(world)
    shown = "Chargement d&#x27;un fichier (provision)" if who == "command" else actor.label
    # A list tells of the newest change of its objects, and names it.
    assert note(world.second.get(url))[0].startswith(f"modifié par {shown} le ")
    User.objects.filter(pk=world.bruno.pk).update(language="en")
    words = note(world.second.get(url))[0]
    assert words.startswith("changed by ") and (who == "command" or words.startswith(f"changed by {actor.label} on "))


def test_the_link_leads_to_the_history_of_that_object_alone(world: World) -> None:
    other = UserFactory(company=world.company)
    team_services.user_update(user=other, actor=world.actor, phone="+33 9 99 99 99 99")
    _user(world, world.actor)
    link = note(world.second.get(PAGES["user"].url(world)))[1]
    response = world.second.get(link)
    rows = response.context["rows"]
    assert [entry.object_id for entry, _changes in rows] == [str(world.account.pk)]
    assert f"Seulement : Compte utilisateur : {world.account}" in text(response)
    # Narrowing further stays with the object; the way out is there.
    assert f'<input type="hidden" name="about" value="user.{world.account.pk}">' in response.content.decode()
    assert "Tout l'historique" in text(response)


def test_the_history_of_an_object_shows_nothing_of_another_company(world: World) -> None:
    stranger = UserFactory(first_name="Eve")
    team_services.user_update(user=stranger, actor=Actor.command("provision"), phone="+33 9 99 99 99 99")
    response = world.second.get(f"/settings/company/history/?about=user.{stranger.pk}&about=nonsense.1")
    assert response.status_code == 200 and not response.context["rows"]


def test_whoever_may_not_read_accounts_reads_no_name_of_who_changed_one_in_the_history(world: World) -> None:
    viewer = world.client_for(UserFactory(company=world.company, role=Role.VIEWER))
    _user(world, world.actor)
    assert not viewer.get(f"/settings/company/history/?about=user.{world.account.pk}").context["rows"]


def test_one_s_own_account_says_who_changed_it_and_links_only_for_those_who_may_see(world: World) -> None:
    viewer = UserFactory(company=world.company, role=Role.VIEWER)
    assert note(world.client_for(viewer).get("/account/")) == ("", "")
    team_services.user_update(user=viewer, actor=world.actor, phone="+33 1 02 03 04 05")
    words, link = note(world.client_for(viewer).get("/account/"))
    assert words.startswith("modifié par Alice Avant le ") and not link
    team_services.user_update(user=world.bruno, actor=world.actor, phone="+33 1 02 03 04 05")
    assert note(world.second.get("/account/"))[1]


def test_a_removed_contact_and_a_removed_rule_are_told_where_they_were(world: World) -> None:
    company_services.technical_contact_remove(company=world.company, actor=world.actor)
    assert note(world.second.get("/settings/company/"))[0].startswith("modifié par Alice Avant")
    rule_services.rule_delete(rule=world.rule, actor=world.actor)
    assert note(world.second.get(PAGES["rules of a shop"].url(world)))[0].startswith("modifié par Alice Avant")


def test_what_is_only_looked_at_is_no_change(world: World) -> None:
    _user(world, world.actor)
    for action in ("user.viewed_as", "user.invited", "user.login_link"):
        record(actor=Actor("Stella Equipe"), action=action, obj=world.account, company=world.company)
    assert note(world.second.get(PAGES["user"].url(world)))[0].startswith("modifié par Alice Avant")


def test_a_new_object_says_who_made_it(world: World) -> None:
    made = team_services.sftp_account_create(
        company=world.company, actor=world.actor, login="neuf", email="neuf@sftp.example"
    )
    words = note(world.second.get(f"/settings/company/sftp-accounts/{made.pk}/"))[0]
    assert words.startswith("créé par Alice Avant le ")


def test_a_list_tells_only_of_shops_that_its_reader_sees(world: World) -> None:
    seen = UserFactory(company=world.company, role=Role.MANAGER, shops=[])
    _rule(world, world.actor)
    assert note(world.client_for(seen).get("/settings/notification-rules/all/")) == ("", "")
