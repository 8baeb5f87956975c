"""Every service that writes, and what it does in a suspended or closed company or shop (DESIGN 4.12).

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

from companies import services as company_services
from companies import status
from companies.audit import Actor
from companies.models import AuditEntry, Company, Role, Status, User
from notifications import call_services, consistency_reports, rule_tests, tokens
from notifications import services as notification_services
from notifications.models import Delivery, Event, NotificationRule
from shops import services as shop_services
from shops.dataforms import services as form_services
from shops.dataforms.models import DataCollectionForm, DataFormVersion
from shops.models import Contract, PaymentOrderTemplate, Shop
from shops.orders import services as order_services
from shops.orders.models import PaymentOrder
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
class Cast:
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

    def fresh(self) -> "Cast":
        read: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, uuid.UUID):
                read[name] = value
                continue
            read[name] = type(value).objects.get(pk=value.pk)
        return Cast(**read)


@pytest.fixture
def cast() -> Cast:
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
    return Cast(
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


Call = Callable[[Cast, Actor], object]
CS, SS, OS, FS, NS = company_services, shop_services, order_services, form_services, notification_services


def _user_update(c: Cast, a: Actor) -> object:
    return CS.user_update(user=c.colleague, actor=a, role=Role.MANAGER)


# Settings of the company: refused where it is closed, open in all other states.
OF_THE_COMPANY: dict[str, Call] = {
    "companies.services.company_update": lambda c, a: CS.company_update(company=c.company, actor=a, language="en"),
    "companies.services.contact_save": lambda c, a: CS.contact_save(company=c.company, kind="manager", actor=a, phone="1"),
    "companies.services.technical_contact_remove": lambda c, a: CS.technical_contact_remove(company=c.company, actor=a),
    "companies.services.contacts_swap": lambda c, a: CS.contacts_swap(company=c.company, actor=a),
    "companies.services.user_create": lambda c, a: CS.user_create(company=c.company, actor=a, login="n", email="n@x.example"),
    "companies.services.user_update": _user_update,
    "companies.services.user_invite": lambda c, a: CS.user_invite(user=c.colleague, actor=a),
    "companies.services.sftp_account_create": lambda c, a: CS.sftp_account_create(company=c.company, actor=a, login="n", email="n@x.example"),
    "companies.services.sftp_account_update": lambda c, a: CS.sftp_account_update(account=c.sftp, actor=a, email="n@x.example"),
    "companies.services.sftp_password_reset": lambda c, a: CS.sftp_password_reset(account=c.sftp, actor=a),
    "shops.services.shop_create": lambda c, a: SS.shop_create(company=c.company, actor=a, site_id="10000009", name="N"),
    "notifications.consistency_reports.report_run": lambda c, a: consistency_reports.report_run(company=c.company, actor=a),
    "notifications.tokens.token_create": lambda c, a: tokens.token_create(name="n", company=c.company, actor=a),
    "notifications.tokens.token_replace": lambda c, a: tokens.token_replace(token=c.token, actor=a, expires_at=None),
    # Stopping what waits of a closed shop sends nothing.
    "notifications.services.delivery_cancel": lambda c, a: NS.delivery_cancel(delivery=c.waiting, actor=a),
    "notifications.services.run_cancel": lambda c, a: NS.run_cancel(
        deliveries=Delivery.objects.filter(shop=c.shop), run=c.run, actor=a, company=c.company
    ),
}  # fmt: skip


def _draft(c: Cast, name: str, **values: Any) -> Any:
    service: Any = getattr(FS, name)
    return service(shop=c.shop, version=c.form.version, **values)


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
    "shops.orders.services.payment_order_set_validity": lambda c, a: OS.payment_order_set_validity(order=c.order, actor=a, version=c.order.version, valid_until=c.order.valid_until),
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
    "notifications.services.default_rules_create": lambda c, a: NS.default_rules_create(shop=c.shop, actor=a),
    "notifications.services.rule_create": lambda c, a: NS.rule_create(shop=c.shop, actor=a, reference="n", type="merchant_email", label="N", triggers=["payment.accepted"]),
    "notifications.services.rule_update": lambda c, a: NS.rule_update(rule=c.rule, actor=a, enabled=False),
    "notifications.services.rule_duplicate": lambda c, a: NS.rule_duplicate(rule=c.rule, actor=a),
    "notifications.services.rule_delete": lambda c, a: NS.rule_delete(rule=c.rule, actor=a),
    "notifications.services.rule_archive": lambda c, a: NS.rule_archive(rule=c.rule, actor=a),
}  # fmt: skip

# What sends: refused in suspended and closed companies and shops, whoever asks.
SENDS: dict[str, Call] = {
    "shops.orders.services.payment_order_create": lambda c, a: OS.payment_order_create(shop=c.shop, actor=a, mode="TEST", channel="email", amount=100, currency="EUR", recipients=["a@x.example"]),
    "shops.orders.services.payment_order_update": lambda c, a: OS.payment_order_update(order=c.order, actor=a, version=c.order.version, amount=200),
    "shops.orders.services.payment_order_resend": lambda c, a: OS.payment_order_resend(order=c.order, actor=a),
    "shops.orders.services.payment_order_simulate": lambda c, a: OS.payment_order_simulate(order=PaymentOrderFactory(shop=c.shop, mode="TEST"), result="accepted", nonce="n"),
    "shops.dataforms.services.go_live": lambda c, a: _go_live(c, a),
    "shops.dataforms.services.request_approve": lambda c, a: FS.request_approve(version=c.form.versions.get(state="requested"), actor=a),
    "shops.dataforms.services.answer_take": lambda c, a: FS.answer_take(form=c.form, version=c.live, values={"last_name": "Roy"}, amount=100, language="fr", nonce="n"),
    "notifications.services.delivery_resend": lambda c, a: NS.delivery_resend(delivery=c.mail, actor=a),
    "notifications.call_services.call_replay": lambda c, a: call_services.call_replay(delivery=c.call, actor=a),
    "notifications.rule_tests.rule_test": lambda c, a: rule_tests.rule_test(rule=c.rule, mode="TEST", user=c.admin, actor=a),
}  # fmt: skip


def _go_live(c: Cast, a: Actor) -> object:
    c.form.versions.filter(state="requested").delete()
    c.live.content = {}
    c.live.save()
    return FS.go_live(shop=c.shop, actor=a, version=c.form.version)


# What tells by its answer that nothing was done.
SENDS_QUIETLY: dict[str, Call] = {
    "notifications.services.delivery_requeue": lambda c, a: NS.delivery_requeue(delivery=c.call, actor=a),
    "notifications.call_services.calls_replay": lambda c, a: call_services.calls_replay(deliveries=[c.call], actor=a)[1],
}  # fmt: skip

TEAM = "the platform's team only, who are not bound"
COMMAND = "an operator's command or file"
SAFETY = "secures an account, which stays possible"
OWNER = "the owner of the account, about the account alone"
FACT = "records what happened; the resolver holds back what would be sent"
READS = "writes nothing"
PART = "a part of the writes above"
NOT_BOUND: dict[str, str] = {
    "companies.audit.record": "the history itself",
    "companies.security.sessions_end": SAFETY,
    "companies.security.second_factor_changed": OWNER,
    "companies.security.passkey_renamed": OWNER,
    "companies.services.company_create": TEAM,
    "companies.services.company_set_status": TEAM,
    "companies.services.fingerprint": READS,
    "companies.services.account_hold": READS,
    "companies.services.user_reset": SAFETY,
    "companies.services.user_unlock": SAFETY,
    "companies.services.membership_remove": SAFETY,
    "companies.services.user_set_password": OWNER,
    "companies.services.user_password_provisioned": COMMAND,
    "companies.services.password_reset_request": OWNER,
    "companies.services.sftp_reveal": OWNER,
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
    "notifications.call_services.judge": READS,
    "notifications.call_services.record": FACT,
    "notifications.call_services.publish_due_notices": FACT,
    "notifications.call_services.replay_target": READS,
    "notifications.consistency_reports.runs_ask": TEAM,
    "notifications.incidents.incident_open": TEAM,
    "notifications.incidents.incident_tell": TEAM,
    "notifications.incidents.incident_correct": TEAM,
    "notifications.newsletters.newsletter_create": TEAM,
    "notifications.newsletters.newsletter_update": TEAM,
    "notifications.newsletters.newsletter_try": TEAM,
    "notifications.newsletters.newsletter_send": TEAM,
    "notifications.newsletters.newsletter_pause": TEAM,
    "notifications.newsletters.newsletter_resume": TEAM,
    "notifications.newsletters.newsletter_cancel": TEAM,
    "notifications.personal_data.note_export": TEAM,
    "notifications.personal_data.erase": TEAM,
    "notifications.services.publish": FACT,
    "notifications.services.dedupe_key": READS,
    "notifications.services.accept_event": FACT,
    "notifications.services.check_recipients": READS,
    "notifications.services.condition_error": READS,
    "notifications.services.free_reference": READS,
    "notifications.tokens.token_revoke": "takes a key away, which stays possible",
}
BOUND = OF_THE_COMPANY | OF_A_SHOP | SENDS | SENDS_QUIETLY


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
                if module.name.endswith("services") or "actor" in inspect.signature(function).parameters:
                    found.add(f"{module.name}.{name}")
    assert found == set(BOUND) | set(NOT_BOUND)
    assert not set(BOUND) & set(NOT_BOUND)


def _put(obj: Company | Shop, state: str) -> None:
    type(obj)._default_manager.filter(pk=obj.pk).update(status=state, status_reason="Factures impayées")


def _merchant(cast: Cast) -> Actor:
    return Actor("Claire", User.objects.get(pk=cast.admin.pk))


def _written() -> tuple[int, ...]:
    return tuple(model._default_manager.count() for model in (AuditEntry, Event, Delivery, Shop, NotificationRule))


@pytest.mark.parametrize("name", sorted(OF_THE_COMPANY | OF_A_SHOP))
def test_what_is_closed_takes_no_change_of_a_merchant(name: str, cast: Cast) -> None:
    call = (OF_THE_COMPANY | OF_A_SHOP)[name]
    closed = [cast.company, *([cast.shop] if name in OF_A_SHOP else [])]
    for obj in closed:
        _put(obj, Status.CLOSED)
        here, before = cast.fresh(), _written()
        with pytest.raises(status.Closed, match="fermée"):
            call(here, _merchant(cast))
        assert _written() == before
        _put(obj, Status.ACTIVE)


@pytest.mark.parametrize("name", sorted(OF_THE_COMPANY | OF_A_SHOP))
def test_what_is_suspended_takes_them_for_the_day_it_is_active_again(name: str, cast: Cast) -> None:
    _put(cast.company, Status.SUSPENDED)
    _put(cast.shop, Status.SUSPENDED)
    (OF_THE_COMPANY | OF_A_SHOP)[name](cast.fresh(), _merchant(cast))


@pytest.mark.parametrize("name", sorted(OF_THE_COMPANY | OF_A_SHOP))
def test_the_team_is_bound_by_no_state(name: str, cast: Cast) -> None:
    _put(cast.company, Status.CLOSED)
    _put(cast.shop, Status.CLOSED)
    (OF_THE_COMPANY | OF_A_SHOP)[name](cast.fresh(), Actor.command("équipe"))


@pytest.mark.parametrize("state", [Status.SUSPENDED, Status.CLOSED])
@pytest.mark.parametrize("name", sorted(SENDS | SENDS_QUIETLY))
def test_nothing_is_sent_by_hand_where_the_state_holds_it_back(name: str, state: str, cast: Cast) -> None:
    for actor in (_merchant(cast), Actor.command("équipe")):
        for obj in (cast.company, cast.shop):
            _put(obj, state)
            here, before = cast.fresh(), _written()
            if name in SENDS:
                with pytest.raises(ValidationError, match="suspendue|fermée"):
                    SENDS[name](here, actor)
            else:
                assert not SENDS_QUIETLY[name](here, actor)
            assert _written() == before
            assert Delivery.objects.get(pk=cast.call.pk).status == "dead"
            _put(obj, Status.ACTIVE)


@pytest.mark.parametrize("name", sorted(SENDS | SENDS_QUIETLY))
def test_the_same_is_sent_where_nothing_holds_it_back(name: str, cast: Cast) -> None:
    """Or the test above would show nothing."""
    result = (SENDS | SENDS_QUIETLY)[name](cast.fresh(), _merchant(cast))
    assert result


@pytest.mark.parametrize("state", [Status.SUSPENDED, Status.CLOSED])
def test_a_company_that_is_not_active_opens_no_shop(state: str, cast: Cast) -> None:
    _put(cast.company, state)
    membership = cast.admin.memberships.select_related("company").get()
    with pytest.raises(ValidationError, match="pas active|fermée"):
        SS.shop_open(membership=membership, actor=_merchant(cast), site_id="10000009", name="N")


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
    page: str, cast: Cast, client_for: Callable[..., Client]
) -> None:
    """Not that the role is too small: an administrator cannot give what the state takes."""
    _put(cast.shop, Status.CLOSED)
    before = _written()
    answer = client_for(cast.admin).post(page.format(**vars(cast)))
    assert answer.status_code == 403
    assert "La boutique Paris est fermée" in answer.text
    assert "Votre rôle" not in answer.text
    assert _written() == before


def test_a_refusal_of_a_service_reads_like_that_of_a_page(
    cast: Cast, client_for: Callable[..., Client], monkeypatch: Any
) -> None:
    """A state that changes between the look at the page and the click is no defect."""
    original = notification_services.delivery_cancel

    def closed_meanwhile(*, delivery: Delivery, actor: Actor) -> bool:
        _put(cast.company, Status.CLOSED)
        return original(delivery=Delivery.objects.get(pk=delivery.pk), actor=actor)

    monkeypatch.setattr(notification_services, "delivery_cancel", closed_meanwhile)
    page = client_for(cast.admin).post(f"/notifications/journal/{cast.waiting.pk}/cancel/")
    assert page.status_code == 403
    assert "La société Lumière est fermée" in page.text
    assert Delivery.objects.get(pk=cast.waiting.pk).status == "queued"
