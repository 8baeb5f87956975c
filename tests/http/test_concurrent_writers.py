"""Two writers at the same moment: exactly one wins, and nothing of the other is half written."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from companies import services as company_services
from companies.audit import Actor, StaleVersion
from companies.models import SftpAccount, User
from companies.staff.pages import OPENED_ON
from companies.team import services as team_services
from notifications.models import NotificationRule
from notifications.rules import services as rule_services
from shops import services as shop_services
from shops.dataforms import services as data_form_services
from shops.models import Shop
from shops.orders import services as order_services
from tests.html_forms import form_with
from tests.http.edits import World, company_of
from tests.http.test_concurrent_staff_edits import admin_url, staff_clients
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db


RACES: dict[str, Callable[[World, Actor, str], Any]] = {}


def race(name: str) -> Callable[[Callable[[World, Actor, str], Any]], Callable[[World, Actor, str], Any]]:
    def keep(service: Callable[[World, Actor, str], Any]) -> Callable[[World, Actor, str], Any]:
        RACES[name] = service
        return service

    return keep


@race("company")
def _race_company(w: World, actor: Actor, value: str) -> Any:
    return company_services.company_update(company=company_of(w), actor=actor, seen=1, address=value)


@race("swap of contacts")
def _race_swap(w: World, actor: Actor, value: str) -> Any:
    return company_services.contacts_swap(company=company_of(w), actor=actor, seen=1)


@race("account")
def _race_account(w: World, actor: Actor, value: str) -> Any:
    return team_services.user_update(
        user=w.account, actor=actor, company=w.company, seen=w.kept["seen of account"], phone=value
    )


@race("SFTP account")
def _race_sftp(w: World, actor: Actor, value: str) -> Any:
    return team_services.sftp_account_update(
        account=w.sftp, actor=actor, seen=w.kept["seen of sftp"], email=f"{value.lower()}@sftp.example"
    )


@race("shop")
def _race_shop(w: World, actor: Actor, value: str) -> Any:
    return shop_services.shop_update(shop=Shop.objects.get(pk=w.shop.pk), actor=actor, seen=1, name=value)


@race("contract")
def _race_contract(w: World, actor: Actor, value: str) -> Any:
    return shop_services.contract_update(
        contract=w.contract, actor=actor, seen=w.kept["seen of contract"], number=value, network="CB"
    )


@race("rule")
def _race_rule(w: World, actor: Actor, value: str) -> Any:
    return rule_services.rule_update(rule=w.rule, actor=actor, seen=1, label=value)


@race("template")
def _race_template(w: World, actor: Actor, value: str) -> Any:
    return order_services.order_template_save(shop=w.shop, actor=actor, template=w.template, seen=1, name=value)


@race("data form")
def _race_data_form(w: World, actor: Actor, value: str) -> Any:
    code = {"Premier": "city", "Second": "phone"}[value]
    return data_form_services.field_add(shop=w.shop, actor=actor, seen=1, code=code)


@race("order")
def _race_order(w: World, actor: Actor, value: str) -> Any:
    return order_services.payment_order_update(order=w.order, actor=actor, seen=1, resend=False, buyer_reference=value)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", RACES)
def test_of_two_writers_at_the_same_moment_exactly_one_wins(name: str, client_for: Callable[..., Client]) -> None:
    world = World(client_for)
    # Made here, so that the threads only write.
    for kept in ("account", "sftp", "contract", "rule", "template", "data_form", "order"):
        getattr(world, kept)
    world.kept["seen of account"] = team_services.fingerprint(world.account, world.company)
    world.kept["seen of sftp"] = team_services.fingerprint(world.sftp)
    world.kept["seen of contract"] = shop_services.contract_stamp(world.contract)
    start, outcomes = threading.Barrier(2), []

    def write(user: User, value: str) -> None:
        try:
            start.wait(timeout=PATIENCE)
            RACES[name](world, Actor(user.get_full_name(), user), value)
            outcomes.append("saved")
        except StaleVersion:
            outcomes.append("stale")
        except Exception as error:  # any other end is the failure this test looks for
            outcomes.append(repr(error))
        finally:
            connection.close()

    writers = [(world.alice, "Premier"), (world.bruno, "Second")]
    threads = [threading.Thread(target=write, args=writer) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=2 * PATIENCE)
    assert sorted(outcomes) == ["saved", "stale"]


@pytest.mark.django_db(transaction=True)
def test_a_command_and_a_person_at_the_same_moment_lose_neither_ones_columns(client_for: Callable[..., Client]) -> None:
    """Without a version nobody is refused, and yet no old column is saved over a new one."""
    world = World(client_for)
    stale = [Shop.objects.get(pk=world.shop.pk) for _number in range(2)]
    company_of(world)
    shop_services.shop_update(shop=stale[0], actor=world.actor, name="Premier")
    shop_services.shop_update(shop=stale[1], actor=Actor.command("provision"), url="https://second.example")
    assert Shop.objects.values_list("name", "url").get(pk=world.shop.pk) == ("Premier", "https://second.example")

    rules = [NotificationRule.objects.get(pk=world.rule.pk) for _number in range(2)]
    rule_services.rule_update(rule=rules[0], actor=world.actor, label="Premier")
    rule_services.rule_update(rule=rules[1], actor=Actor.command("provision"), enabled=False)
    assert (world.rule.label, world.rule.enabled) == ("Premier", False)

    companies = [company_of(world) for _number in range(2)]
    company_services.company_update(company=companies[0], actor=world.actor, address="Premier")
    company_services.company_update(company=companies[1], actor=Actor.command("provision"), country="BE")
    assert (company_of(world).address, company_of(world).country) == ("Premier", "BE")
    assert company_of(world).version == 3

    users = [User.objects.get(pk=world.account.pk) for _number in range(2)]
    team_services.user_update(user=users[0], actor=world.actor, first_name="Premier")
    team_services.user_update(user=users[1], actor=Actor.command("provision"), phone="+33 1 02 03 04 05")
    assert (world.account.first_name, world.account.phone) == ("Premier", "+33 1 02 03 04 05")

    accounts = [SftpAccount.objects.get(pk=world.sftp.pk) for _number in range(2)]
    team_services.sftp_account_update(account=accounts[0], actor=world.actor, email="premier@sftp.example")
    team_services.sftp_account_update(account=accounts[1], actor=Actor.command("provision"), language="en")
    assert (world.sftp.email, world.sftp.language) == ("premier@sftp.example", "en")


@pytest.mark.django_db(transaction=True)
def test_of_two_members_of_staff_at_the_same_moment_exactly_one_wins(client_for: Callable[..., Client]) -> None:
    world = World(client_for)
    clients = staff_clients(world)
    url = admin_url(world.shop)
    forms = [form_with(client.get(url), OPENED_ON) for client in clients]
    start, codes = threading.Barrier(2), []

    def write(number: int) -> None:
        try:
            start.wait(timeout=PATIENCE)
            codes.append(clients[number].post(url, forms[number].sent(name=f"Nom {number}")).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=2 * PATIENCE)
    assert sorted(codes) == [200, 302]
