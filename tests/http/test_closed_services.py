"""Every service that writes, and what it does in a suspended or closed company or shop (docs/rules.md 4.12).

The services are found by looking: a new one fails here until it is in one of the tables.
"""

import importlib
import inspect
import pkgutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from companies import services as company_services
from companies import status
from companies.audit import Actor
from companies.models import AuditEntry, Company, Role, Status, User
from companies.team import services as team_services
from notifications import tokens
from notifications.answers import services as answer_services
from notifications.consistency import reports as consistency_reports
from notifications.health import recording, verification
from notifications.many_rules import services as many_rules
from notifications.models import AddressHealth, CompanyRelay, Delivery, Event, MailRemark, NotificationRule
from notifications.outbox import call_results, relays
from notifications.outbox import services as delivery_services
from notifications.rules import services as rule_services
from notifications.rules import trials
from shops import services as shop_services
from shops.dataforms import services as form_services
from shops.models import Contract, DataCollectionForm, DataFormVersion, PaymentOrder, PaymentOrderTemplate, Shop
from shops.orders import services as order_services
from tests.factories import (
    CompanyFactory,
    ContractFactory,
    DataCollectionFormFactory,
    DataFormAnswerFactory,
    DataFormVersionFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    SftpAccountFactory,
    ShopFactory,
    ShopKeyFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@dataclass
class World:
    """One company with all that its merchant can change, read afresh."""

    company: Company
    shop: Shop
    admin: User
    colleague: User
    rule: NotificationRule
    contract: Contract
    order: PaymentOrder
    cancelled: PaymentOrder
    link: PaymentOrder
    template: PaymentOrderTemplate
    form: DataCollectionForm
    live: DataFormVersion
    answer: Any
    sftp: Any
    token: Any
    call: Delivery
    mail: Delivery
    waiting: Delivery
    run: uuid.UUID

    def fresh(self) -> "World":
        read: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, uuid.UUID):
                read[name] = value
                continue
            read[name] = type(value).objects.get(pk=value.pk)
        return World(**read)


@pytest.fixture
def world() -> World:
    company = CompanyFactory(reference="lumiere", name="Lumière", with_technical=True)
    shop = ShopFactory(company=company, name="Paris", site_id="10000001")
    colleague = UserFactory(company=company, role=Role.VIEWER)
    colleague.set_unusable_password()
    colleague.save()
    ShopKeyFactory(shop=shop, kind="test")
    rule = NotificationRuleFactory(shop=shop, ipn=True)
    live = DataFormVersionFactory(form=DataCollectionFormFactory(shop=shop))
    DataFormVersionFactory(form=live.form, number=2, state="requested", live_at=None)
    event = EventFactory(shop=shop)
    run = uuid.uuid4()
    call = DeliveryFactory(
        event=event,
        rule=rule,
        channel="ipn",
        notification="ipn_call",
        message=None,
        status="dead",
        address="https://boutique.example/ipn",
        call={"format": "form", "fields": {}},
    )
    DeliveryFactory(event=event, channel="ipn", notification="ipn_call", message=None, run=run)
    return World(
        company=company,
        shop=shop,
        admin=UserFactory(company=company),
        colleague=colleague,
        rule=rule,
        contract=ContractFactory(shop=shop),
        order=PaymentOrderFactory(shop=shop),
        cancelled=PaymentOrderFactory(shop=shop, status="cancelled"),
        link=PaymentOrderFactory(shop=shop, channel="url", recipient=""),
        template=PaymentOrderTemplate.objects.create(shop=shop, name="Modèle", subject="Objet", body="%url%"),
        form=live.form,
        live=live,
        answer=DataFormAnswerFactory(version=live),
        sftp=SftpAccountFactory(company=company),
        token=tokens.token_create(name="caisse", company=company, actor=Actor.command("test"))[0],
        call=call,
        mail=DeliveryFactory(event=event, status="sent"),
        waiting=DeliveryFactory(event=event),
        run=run,
    )


Call = Callable[[World, Actor], object]
CS, SS, OS, FS = company_services, shop_services, order_services, form_services


def _user_update(c: World, a: Actor) -> object:
    return team_services.user_update(user=c.colleague, actor=a, rights=team_services.Rights(role=Role.MANAGER))


# Settings of the company: refused where it is closed, open in all other states.
OF_THE_COMPANY: dict[str, Call] = {
    "companies.services.company_update": lambda c, a: CS.company_update(company=c.company, actor=a, language="en"),
    "companies.services.contact_save": lambda c, a: CS.contact_save(company=c.company, kind="manager", actor=a, phone="1"),
    "companies.services.technical_contact_remove": lambda c, a: CS.technical_contact_remove(company=c.company, actor=a),
    "companies.services.contacts_swap": lambda c, a: CS.contacts_swap(company=c.company, actor=a),
    "companies.team.services.user_create": lambda c, a: team_services.user_create(company=c.company, actor=a, login="n", email="n@x.example"),
    "companies.team.services.user_update": _user_update,
    "companies.team.services.user_invite": lambda c, a: team_services.user_invite(user=c.colleague, actor=a),
    "companies.team.services.sftp_account_create": lambda c, a: team_services.sftp_account_create(company=c.company, actor=a, login="n", email="n@x.example"),
    "companies.team.services.sftp_account_update": lambda c, a: team_services.sftp_account_update(account=c.sftp, actor=a, email="n@x.example"),
    "companies.team.services.sftp_password_reset": lambda c, a: team_services.sftp_password_reset(account=c.sftp, actor=a),
    "shops.services.shop_create": lambda c, a: SS.shop_create(company=c.company, actor=a, site_id="10000009", name="N"),
    "notifications.health.recording.address_reactivate": lambda c, a: recording.address_reactivate(company=c.company, normalised="muet@x.example", actor=a),
    "notifications.consistency.reports.report_run": lambda c, a: consistency_reports.report_run(company=c.company, actor=a),
    "notifications.outbox.relays.keep": lambda c, a: relays.keep(
        actor=a, company=c.company, relay=CompanyRelay(company=c.company, host="smtp.lumiere.example")
    ),
    "notifications.outbox.relays.remove": lambda c, a: relays.remove(actor=a, company=c.company),
    "notifications.tokens.token_create": lambda c, a: tokens.token_create(name="n", company=c.company, actor=a),
    "notifications.tokens.token_replace": lambda c, a: tokens.token_replace(token=c.token, actor=a, expires_at=None),
    # Stopping what waits of a closed shop sends nothing.
    "notifications.outbox.services.delivery_cancel": lambda c, a: delivery_services.delivery_cancel(delivery=c.waiting, actor=a),
    "notifications.outbox.services.deliveries_cancel": lambda c, a: delivery_services.deliveries_cancel(
        deliveries=[c.waiting], actor=a, company=c.company
    ),
    "notifications.many_rules.services.rule_copy": lambda c, a: many_rules.rule_copy(
        rule=NotificationRule(
            reference="copied", type="merchant_email", label="C", triggers=["payment.accepted"], recipients=["@shop_manager"]
        ), shops=[c.shop], actor=a, with_urls=False
    ),
    "notifications.many_rules.services.rules_address": lambda c, a: many_rules.rules_address(
        rules=[c.rule], change="add", email="neuf@x.example", actor=a
    ),
    "notifications.outbox.services.run_cancel": lambda c, a: delivery_services.run_cancel(
        deliveries=Delivery.objects.filter(shop=c.shop), run=c.run, actor=a, company=c.company
    ),
}  # fmt: skip


def _draft(c: World, name: str, **values: Any) -> Any:
    service: Any = getattr(FS, name)
    return service(shop=c.shop, seen=c.form.version, **values)


# Settings of a shop: refused where it or its company is closed.
OF_A_SHOP: dict[str, Call] = {
    "shops.services.shop_update": lambda c, a: SS.shop_update(shop=c.shop, actor=a, name="Autre"),
    "shops.services.tests_mark_done": lambda c, a: SS.tests_mark_done(shop=c.shop, actor=a, reason="essais faits"),
    "shops.services.contract_save": lambda c, a: SS.contract_save(shop=c.shop, actor=a, number="1", network="CB"),
    "shops.services.contract_create": lambda c, a: SS.contract_create(shop=c.shop, actor=a, number="2", network="CB"),
    "shops.services.contract_update": lambda c, a: SS.contract_update(contract=c.contract, actor=a, number="3", network="CB"),
    "shops.services.contract_remove": lambda c, a: SS.contract_remove(contract=c.contract, actor=a),
    "shops.services.three_d_secure_activate": lambda c, a: SS.three_d_secure_activate(contract=c.contract, actor=a),
    "shops.services.key_save": lambda c, a: SS.key_save(shop=c.shop, kind="test", value="abcdefgh12345678", actor=a),
    "shops.services.key_remove": lambda c, a: SS.key_remove(shop=c.shop, kind="test", actor=a),
    "shops.services.keys_generate": lambda c, a: SS.keys_generate(shop=c.shop, kinds=["test"], actor=a, seen={"test": c.shop.keys.get(kind="test").generation}),
    "shops.services.key_show": lambda c, a: SS.key_show(shop=c.shop, kind="test", actor=a),
    "shops.orders.services.payment_order_set_validity": lambda c, a: OS.payment_order_set_validity(order=c.order, actor=a, seen=c.order.version, valid_until=c.order.valid_until),
    "shops.orders.services.payment_order_cancel": lambda c, a: OS.payment_order_cancel(order=c.order, actor=a),
    "shops.orders.services.payment_order_reactivate": lambda c, a: OS.payment_order_reactivate(order=c.cancelled, actor=a),
    "shops.orders.services.payment_order_handed_over": lambda c, a: OS.payment_order_handed_over(order=c.link, actor=a),
    "shops.orders.services.order_template_save": lambda c, a: OS.order_template_save(shop=c.shop, actor=a, language="fr", name="N", subject="S", body="%url%"),
    "shops.orders.services.order_template_duplicate": lambda c, a: OS.order_template_duplicate(template=c.template, actor=a),
    "shops.orders.services.order_template_delete": lambda c, a: OS.order_template_delete(template=c.template, actor=a),
    "shops.dataforms.services.draft_change": lambda c, a: _draft(c, "draft_change", actor=a, change=lambda draft: draft),
    "shops.dataforms.services.field_add": lambda c, a: _draft(c, "field_add", actor=a, code="phone"),
    "shops.dataforms.services.own_field_add": lambda c, a: _draft(c, "own_field_add", actor=a, label="Taille", kind="text"),
    "shops.dataforms.services.field_act": lambda c, a: _draft(c, "field_act", actor=a, code="reference", action="required"),
    "shops.dataforms.services.field_configure": lambda c, a: _draft(c, "field_configure", actor=a, item=FS.selectors.draft_of(c.form).find("reference")),
    "shops.dataforms.services.copy_live_to_draft": lambda c, a: _draft(c, "copy_live_to_draft", actor=a),
    "shops.dataforms.services.request_cancel": lambda c, a: FS.request_cancel(shop=c.shop, actor=a),
    "shops.dataforms.services.withdraw": lambda c, a: FS.withdraw(shop=c.shop, actor=a),
    "shops.dataforms.services.answer_erase": lambda c, a: FS.answer_erase(answer=c.answer, actor=a),
    "notifications.rules.services.default_rules_create": lambda c, a: rule_services.default_rules_create(shop=c.shop, actor=a),
    "notifications.rules.services.rule_create": lambda c, a: rule_services.rule_create(shop=c.shop, actor=a, reference="n", type="merchant_email", label="N", triggers=["payment.accepted"]),
    "notifications.rules.services.rule_update": lambda c, a: rule_services.rule_update(rule=c.rule, actor=a, enabled=False),
    "notifications.rules.services.rule_duplicate": lambda c, a: rule_services.rule_duplicate(rule=c.rule, actor=a),
    "notifications.rules.services.rule_delete": lambda c, a: rule_services.rule_delete(rule=c.rule, actor=a),
    "notifications.rules.services.rule_archive": lambda c, a: rule_services.rule_archive(rule=c.rule, actor=a),
}  # fmt: skip

# What sends: refused in suspended and closed companies and shops, whoever asks.
SENDS: dict[str, Call] = {
    "shops.orders.services.payment_order_create": lambda c, a: OS.payment_order_create(shop=c.shop, actor=a, new=OS.NewOrder(mode="TEST", channel="email", amount=100, currency="EUR", recipients=["a@x.example"])),
    "shops.orders.services.payment_order_update": lambda c, a: OS.payment_order_update(order=c.order, actor=a, seen=c.order.version, amount=200),
    "shops.orders.services.payment_order_resend": lambda c, a: OS.payment_order_resend(order=c.order, actor=a),
    "shops.orders.services.payment_order_simulate": lambda c, a: OS.payment_order_simulate(order=PaymentOrderFactory(shop=c.shop, mode="TEST"), result="accepted", nonce="n"),
    "shops.dataforms.services.go_live": lambda c, a: _go_live(c, a),
    "shops.dataforms.services.request_approve": lambda c, a: FS.request_approve(version=c.form.versions.get(state="requested"), actor=a),
    "shops.dataforms.services.answer_take": lambda c, a: FS.answer_take(form=c.form, version=c.live, values={"last_name": "Roy"}, amount=100, language="fr", nonce="n"),
    "notifications.outbox.services.delivery_resend": lambda c, a: delivery_services.delivery_resend(delivery=c.mail, actor=a),
    "notifications.outbox.call_results.call_replay": lambda c, a: call_results.call_replay(delivery=c.call, actor=a),
    "notifications.rules.trials.rule_test": lambda c, a: trials.rule_test(rule=c.rule, mode="TEST", user=c.admin, actor=a),
}  # fmt: skip


def _go_live(c: World, a: Actor) -> object:
    c.form.versions.filter(state="requested").delete()
    c.live.content = {}
    c.live.save()
    return FS.go_live(shop=c.shop, actor=a, seen=c.form.version)


# What tells by its answer that nothing was done.
SENDS_QUIETLY: dict[str, Call] = {
    "notifications.outbox.services.delivery_requeue": lambda c, a: delivery_services.delivery_requeue(delivery=c.call, actor=a),
    "notifications.outbox.services.deliveries_resend": lambda c, a: delivery_services.deliveries_resend(
        deliveries=[c.mail], actor=a, company=c.company
    )[1],
    "notifications.outbox.call_results.calls_replay": lambda c, a: call_results.calls_replay(deliveries=[c.call], actor=a)[1],
}  # fmt: skip

TEAM = "the platform's team only, who are not bound"
COMMAND = "an operator's command or file"
SAFETY = "secures an account, which stays possible"
OWNER = "the owner of the account, about the account alone"
FACT = "records what happened; the resolver holds back what would be sent"
READS = "writes nothing"
PART = "a part of the writes above"
NOT_BOUND: dict[str, str] = {
    "companies.announcements.manager_replaced": PART,
    "backoffice.undoing.services.may_undo": READS,
    "backoffice.undoing.services.page_of": READS,
    "backoffice.undoing.services.undo": PART,
    "notifications.tables.effects.confirm": PART,
    "notifications.tables.effects.saved": PART,
    "shops.bulk.services.shops_update": PART,
    "shops.services.shops_update": "tested below: refused for each shop that is closed",
    "notifications.health.verification.verification_ask": "tested below: refused where the company is not active",
    "notifications.health.verification.addresses_saved": PART,
    "notifications.health.verification.opened_by_link": FACT,
    "notifications.health.recording.address_verified": FACT,
    "notifications.outbox.services.may_go_out": READS,
    "notifications.many_rules.services.copies": READS,
    "notifications.many_rules.services.imagined": READS,
    "notifications.many_rules.services.with_address": READS,
    "notifications.many_rules.services.has_address": READS,
    "companies.security.second_factors_remove": SAFETY,
    "companies.team.services.awaits_first_login": READS,
    "companies.team.services.told_changes": READS,
    "companies.verified.address_changed": PART,
    "companies.verified.address_confirm": OWNER,
    "notifications.answers.services.gap_acknowledge": "tested below: refused where the company or the shop is closed",
    "notifications.answers.services.gap_reopen": "tested below: refused where the company or the shop is closed",
    "notifications.answers.services.is_gap": READS,
    "notifications.answers.services.remark_close": "tested below: refused where the company or the shop is closed",
    "notifications.answers.services.remark_make": "the reader of a mail, about that mail",
    "notifications.outbox.bulk.cancel": COMMAND,
    "notifications.outbox.bulk.requeue": COMMAND,
    "notifications.outbox.relays.prepared": READS,
    "backoffice.provisioning.mail_servers.trials": READS,
    "notifications.outbox.relays.save": "tries a server first: tests/notifications/sending/test_relays.py",
    "notifications.outbox.limits.set_limit": TEAM,
    "notifications.outbox.limits.remove_limit": TEAM,
    "notifications.sending.atelier_services.sample_send": TEAM,
    "notifications.outbox.holds.pause": TEAM,
    "notifications.outbox.holds.resume": TEAM,
    "notifications.rules.services.condition_errors": READS,
    "shops.services.former_keys_forget": "erases what has lost its use, in any state",
    "shops.services.site_id_is_taken": READS,
    "companies.audit.record": "the history itself",
    "companies.security.sessions_end": SAFETY,
    "companies.security.second_factor_changed": OWNER,
    "companies.security.passkey_renamed": OWNER,
    "companies.services.company_create": TEAM,
    "companies.services.company_set_status": TEAM,
    "companies.team.services.fingerprint": READS,
    "companies.team.services.account_hold": READS,
    "companies.rights.identity.may_change_identity": READS,
    "companies.rights.identity.refusal": READS,
    "companies.rights.identity.ensure": READS,
    "companies.team.services.user_reset": SAFETY,
    "companies.team.services.user_unlock": SAFETY,
    "companies.team.services.membership_remove": SAFETY,
    "companies.team.services.user_set_password": OWNER,
    "companies.team.services.user_password_provisioned": COMMAND,
    "backoffice.provisioning.applying.provision_company": "made of the services above, which refuse",
    "backoffice.provisioning.planning.plan_company": READS,
    "companies.team.services.password_reset_request": OWNER,
    "companies.team.services.sftp_reveal": OWNER,
    "companies.status.ensure_open": READS,
    "companies.status.is_bound": READS,
    "companies.status.change": PART,
    "shops.billing.services.check_period": READS,
    "shops.billing.services.computed_bill": READS,
    "shops.billing.services.billing_issue": TEAM,
    "shops.billing.services.draft_issue": TEAM,
    "shops.billing.services.credit_note_issue": TEAM,
    "shops.billing.services.draft_create": TEAM,
    "shops.billing.services.draft_bill": READS,
    "shops.billing.services.price_list_save": TEAM,
    "shops.dataforms.services.public_url": READS,
    "shops.dataforms.services.state_stamp": READS,
    "shops.dataforms.services.request_refuse": TEAM,
    "shops.dataforms.services.answer_is_known": READS,
    "shops.dataforms.services.answers_tick": "erases what the merchant promised to erase, in any state",
    "shops.orders.services.new_reference": READS,
    "shops.orders.services.payment_order_report_problem": FACT,
    "shops.orders.services.problem_already_reported": READS,
    "shops.orders.services.payment_event_recorded": FACT,
    "shops.orders.services.payment_orders_tick": "notes expiry; what was deferred is noted as not sent",
    "shops.orders.services.sending_data": READS,
    "shops.services.shop_open": "tested below: refused in any company that is not active",
    "shops.services.free_site_id": READS,
    "shops.services.contract_stamp": READS,
    "shops.services.shop_set_status": TEAM,
    "shops.services.unavailable": READS,
    "shops.services.generate_key": READS,
    "notifications.outbox.call_results.judge": READS,
    "notifications.outbox.call_results.record": FACT,
    "notifications.outbox.call_results.publish_due_notices": FACT,
    "notifications.outbox.call_results.replay_target": READS,
    "notifications.consistency.reports.runs_ask": TEAM,
    "notifications.broadcasts.incidents.incident_open": TEAM,
    "notifications.broadcasts.incidents.incident_tell": TEAM,
    "notifications.broadcasts.incidents.incident_correct": TEAM,
    "notifications.broadcasts.newsletters.newsletter_create": TEAM,
    "notifications.broadcasts.newsletters.newsletter_update": TEAM,
    "notifications.broadcasts.newsletters.newsletter_try": TEAM,
    "notifications.broadcasts.newsletters.newsletter_send": TEAM,
    "notifications.broadcasts.newsletters.newsletter_pause": TEAM,
    "notifications.broadcasts.newsletters.newsletter_resume": TEAM,
    "notifications.broadcasts.newsletters.newsletter_cancel": TEAM,
    "notifications.privacy.personal_data.note_export": TEAM,
    "notifications.privacy.personal_data.erase": TEAM,
    "notifications.events.publishing.publish": FACT,
    "notifications.events.publishing.publish_decided": FACT,
    "notifications.events.publishing.held": READS,
    "notifications.events.publishing.accept_event": FACT,
    "notifications.events.publishing.accept_events": FACT,
    "notifications.outbox.call_results.replay_plan": READS,
    "notifications.rules.services.check_recipients": READS,
    "notifications.rules.services.condition_error": READS,
    "notifications.rules.services.free_reference": READS,
    "notifications.tokens.token_revoke": "takes a key away, which stays possible",
}
BOUND = OF_THE_COMPANY | OF_A_SHOP | SENDS | SENDS_QUIETLY
# Modules whose public functions write.
WRITING = (".services", ".publishing", ".call_results")


def _is_of(module: str, endings: tuple[str, ...]) -> bool:
    return any(module.endswith(ending) or f"{ending}." in module for ending in endings)


def _public_name(module: str, name: str) -> str | None:
    """Under which name others call a function; None for a part that a package of services keeps to itself."""
    package, inside, _file = module.partition(".services.")
    if not inside:
        return f"{module}.{name}"
    services = importlib.import_module(f"{package}.services")
    return f"{package}.services.{name}" if name in services.__all__ else None


def test_every_service_is_in_one_of_the_tables() -> None:
    """Services: the public functions of modules so called, and any other that is told who acts."""
    found = set()
    for app in ("backoffice", "companies", "notifications", "shops"):
        package = importlib.import_module(app)
        for module in pkgutil.walk_packages(package.__path__, f"{app}."):
            if ".migrations" in module.name or ".management" in module.name:
                continue
            loaded = importlib.import_module(module.name)
            for name, function in vars(loaded).items():
                if name.startswith("_") or not inspect.isfunction(function):
                    continue
                if inspect.unwrap(function).__module__ != module.name:
                    continue
                if not _is_of(module.name, WRITING) and "actor" not in inspect.signature(function).parameters:
                    continue
                if (public := _public_name(module.name, name)) is not None:
                    found.add(public)
    assert found - set(BOUND) - set(NOT_BOUND) == set()
    assert (set(BOUND) | set(NOT_BOUND)) - found == set()
    assert not set(BOUND) & set(NOT_BOUND)


def _put(obj: Company | Shop, state: str) -> None:
    type(obj)._default_manager.filter(pk=obj.pk).update(status=state, status_reason="Factures impayées")


def _merchant(world: World) -> Actor:
    return Actor("Claire", User.objects.get(pk=world.admin.pk))


def _program() -> Actor:
    """A program with a token of the company."""
    return Actor.program("API · ERP", ip_address=None, merchant=True)


def _written() -> tuple[int, ...]:
    return tuple(model._default_manager.count() for model in (AuditEntry, Event, Delivery, Shop, NotificationRule))


@pytest.mark.parametrize("name", sorted(OF_THE_COMPANY | OF_A_SHOP))
def test_what_is_closed_takes_no_change_of_a_merchant(name: str, world: World) -> None:
    call = (OF_THE_COMPANY | OF_A_SHOP)[name]
    closed = [world.company, *([world.shop] if name in OF_A_SHOP else [])]
    for obj in closed:
        _put(obj, Status.CLOSED)
        for actor in (_merchant(world), _program()):
            here, before = world.fresh(), _written()
            with pytest.raises(status.Closed, match="fermée"):
                call(here, actor)
            assert _written() == before
        _put(obj, Status.ACTIVE)


@pytest.mark.parametrize("name", sorted(OF_THE_COMPANY | OF_A_SHOP))
def test_what_is_suspended_takes_them_for_the_day_it_is_active_again(name: str, world: World) -> None:
    _put(world.company, Status.SUSPENDED)
    _put(world.shop, Status.SUSPENDED)
    (OF_THE_COMPANY | OF_A_SHOP)[name](world.fresh(), _merchant(world))


@pytest.mark.parametrize("name", sorted(OF_THE_COMPANY | OF_A_SHOP))
def test_the_team_is_bound_by_no_state(name: str, world: World) -> None:
    _put(world.company, Status.CLOSED)
    _put(world.shop, Status.CLOSED)
    (OF_THE_COMPANY | OF_A_SHOP)[name](world.fresh(), Actor.command("équipe"))


@pytest.mark.parametrize("state", [Status.SUSPENDED, Status.CLOSED])
@pytest.mark.parametrize("name", sorted(SENDS | SENDS_QUIETLY))
def test_nothing_is_sent_by_hand_where_the_state_holds_it_back(name: str, state: str, world: World) -> None:
    for actor in (_merchant(world), Actor.command("équipe")):
        for obj in (world.company, world.shop):
            _put(obj, state)
            here, before = world.fresh(), _written()
            if name in SENDS:
                with pytest.raises(ValidationError, match="suspendue|fermée"):
                    SENDS[name](here, actor)
            else:
                assert not SENDS_QUIETLY[name](here, actor)
            assert _written() == before
            assert Delivery.objects.get(pk=world.call.pk).status == "dead"
            _put(obj, Status.ACTIVE)


@pytest.mark.parametrize("name", sorted(SENDS | SENDS_QUIETLY))
def test_the_same_is_sent_where_nothing_holds_it_back(name: str, world: World) -> None:
    """Or the test above would show nothing."""
    result = (SENDS | SENDS_QUIETLY)[name](world.fresh(), _merchant(world))
    assert result


@pytest.mark.parametrize("state", [Status.SUSPENDED, Status.CLOSED])
def test_a_company_that_is_not_active_opens_no_shop(state: str, world: World) -> None:
    _put(world.company, state)
    membership = world.admin.memberships.select_related("company").get()
    with pytest.raises(ValidationError, match="pas active|fermée"):
        SS.shop_open(membership=membership, actor=_merchant(world), site_id="10000009", name="N")


@pytest.mark.parametrize(
    "page",
    [
        "/payment-orders/{order.pk}/cancel/",
        "/payment-orders/{order.pk}/resend/",
        "/payment-orders/{order.pk}/edit/",
        "/payment-orders/{cancelled.pk}/reactivate/",
        "/notifications/journal/{waiting.pk}/cancel/",
        "/notifications/journal/{mail.pk}/resend/",
        "/settings/company/authentication/{contract.pk}/activate/",
    ],
)
def test_a_page_that_names_no_shop_refuses_for_the_state_of_its_shop_and_says_so(
    page: str, world: World, client_for: Callable[..., Client]
) -> None:
    """Not that the role is too small: an administrator cannot give what the state takes."""
    _put(world.shop, Status.CLOSED)
    before = _written()
    answer = client_for(world.admin).post(page.format(**vars(world)))
    assert answer.status_code == 403
    assert "La boutique Paris est fermée" in answer.text
    assert "Votre rôle" not in answer.text
    assert _written() == before


def test_a_refusal_of_a_service_reads_like_that_of_a_page(
    world: World, client_for: Callable[..., Client], monkeypatch: Any
) -> None:
    """A state that changes between the look at the page and the click is no defect."""
    original = delivery_services.delivery_cancel

    def closed_meanwhile(*, delivery: Delivery, actor: Actor) -> bool:
        _put(world.company, Status.CLOSED)
        return original(delivery=Delivery.objects.get(pk=delivery.pk), actor=actor)

    monkeypatch.setattr(delivery_services, "delivery_cancel", closed_meanwhile)
    page = client_for(world.admin).post(f"/notifications/journal/{world.waiting.pk}/cancel/")
    assert page.status_code == 403
    assert "La société Lumière est fermée" in page.text
    assert Delivery.objects.get(pk=world.waiting.pk).status == "queued"


@pytest.mark.parametrize("closed", ["company", "shop"])
def test_gaps_and_remarks_of_what_is_closed_stay_as_they_are(closed: str, world: World) -> None:
    answer_services.remark_make(delivery=world.mail)
    remark = MailRemark.objects.get()
    actor = Actor(user=world.admin, label="Claire", merchant=True)
    _put(getattr(world, closed), Status.CLOSED)
    now = world.fresh()
    gap = {"company": now.company, "shop": now.shop, "notification": "ipn_failure", "actor": actor}
    for change in (
        lambda: answer_services.gap_acknowledge(**gap, until=timezone.localdate()),
        lambda: answer_services.gap_reopen(**gap),
        lambda: answer_services.remark_close(remark=remark, actor=actor),
    ):
        with pytest.raises(status.Closed):
            change()
    assert MailRemark.objects.get().closed_at is None


@pytest.mark.parametrize("state", [Status.SUSPENDED, Status.CLOSED])
def test_an_address_is_verified_only_where_its_mail_would_leave(state: str, world: World) -> None:
    """Whoever asks: nobody is told that a mail leaves which the state holds back."""
    Company.objects.filter(pk=world.company.pk).update(verify_addresses=True)
    _put(world.company, state)
    company, before = world.fresh().company, _written()
    for actor in (_merchant(world), Actor.command("équipe")):
        with pytest.raises(ValidationError, match="suspendue|fermée"):
            verification.verification_ask(company=company, address="neuve@x.example", actor=actor)
        assert verification.addresses_saved(company=company, saved=["neuve@x.example"], actor=actor) == 0
    assert _written() == before
    assert not AddressHealth.objects.filter(asked_at__isnull=False).exists()


@pytest.mark.parametrize("closed", ["company", "shop"])
def test_many_shops_are_not_changed_where_one_of_them_is_closed(closed: str, world: World) -> None:
    _put(getattr(world, closed), Status.CLOSED)
    with pytest.raises(ValidationError, match="fermée"):
        SS.shops_update(fields={world.shop.pk: {"name": "Autre"}}, actor=_merchant(world))
    assert world.fresh().shop.name == "Paris"
