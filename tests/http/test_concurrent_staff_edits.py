"""Two members of staff on one page, and staff beside a merchant: the second to save is told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from companies import services as company_services
from companies.audit import Actor
from companies.staff.pages import OPENED_ON, ReadOnlyAdmin
from notifications.broadcasts import incidents, newsletters
from notifications.models import Incident, Newsletter
from notifications.rules import services as rule_services
from shops import services as shop_services
from shops.models import PriceList, Shop
from tests.factories import (
    ShopFactory,
    StaffFactory,
)
from tests.html_forms import form_with
from tests.http.edits import (
    EDITS,
    FIRST_NAME,
    TOLD,
    World,
    company_of,
    emails,
    move_office,
    readdress_sftp,
    rename_user,
)
from tests.http.test_concurrent_edits import opened, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(client_for: Callable[..., Client]) -> World:
    return World(client_for)


def _letter(w: World) -> Newsletter:
    return w.of(
        "letter",
        lambda: newsletters.newsletter_create(
            actor=Actor.command("essai"), title_fr="Avant", text_fr="Texte", title_en="Before", text_en="Text"
        ),
    )


def _incident(w: World) -> Incident:
    return w.of(
        "incident",
        lambda: incidents.incident_open(
            actor=Actor.command("essai"),
            title_fr="Avant",
            title_en="Before",
            impact=Incident.Impact.DEGRADED,
            started_at=timezone.now(),
            text_fr="Texte",
            text_en="Text",
        ),
    )


def _prices(w: World) -> PriceList:
    return w.of("prices", lambda: PriceList.objects.filter(is_default=True).get())


@dataclass(frozen=True)
class AdminEdit:
    """One change page of the staff site; `first` and `second` are typed, or `first` is what a merchant does."""

    obj: Callable[[World], Any]
    stored: Callable[[World], Any]
    expected: tuple[Any, Any]
    first: dict[str, Any]
    second: dict[str, Any]
    by_merchant: Callable[[World], Any] | None = None


def merchant_renames_shop(w: World) -> Any:
    return shop_services.shop_update(shop=Shop.objects.get(pk=w.shop.pk), actor=w.actor, name="Premier")


ADMIN_EDITS: dict[str, AdminEdit] = {
    "companies.Company": AdminEdit(
        obj=company_of,
        stored=lambda w: (company_of(w).name, emails(w)[0]),
        first={"name": "Premier", "manager_email": "premier@mienne.example"},
        second={"name": "Second", "manager_email": "second@mienne.example"},
        expected=(("Premier", "premier@mienne.example"), ("Second", "second@mienne.example")),
        by_merchant=lambda w: (
            move_office(w),
            company_services.company_update(company=company_of(w), actor=w.actor, name="Premier"),
        ),
    ),
    "companies.User": AdminEdit(
        obj=lambda w: w.account,
        stored=lambda w: w.account.last_name,
        first={"last_name": "Premier"},
        second={"last_name": "Second"},
        expected=("Premier", "Second"),
        by_merchant=rename_user("account"),
    ),
    "companies.SftpAccount": AdminEdit(
        obj=lambda w: w.sftp,
        stored=lambda w: w.sftp.email,
        first={"email": "premier@sftp.example"},
        second={"email": "second@sftp.example"},
        expected=("premier@sftp.example", "second@sftp.example"),
        by_merchant=readdress_sftp("sftp"),
    ),
    "shops.Shop": AdminEdit(
        obj=lambda w: Shop.objects.get(pk=w.shop.pk),
        stored=lambda w: Shop.objects.get(pk=w.shop.pk).name,
        first={"name": "Premier"},
        second={"name": "Second"},
        expected=("Premier", "Second"),
        by_merchant=merchant_renames_shop,
    ),
    "notifications.NotificationRule": AdminEdit(
        obj=lambda w: w.rule,
        stored=lambda w: w.rule.label,
        first={"label": "Premier"},
        second={"label": "Second"},
        expected=("Premier", "Second"),
        by_merchant=lambda w: rule_services.rule_update(rule=w.rule, actor=w.actor, label="Premier"),
    ),
    "notifications.Newsletter": AdminEdit(
        obj=_letter,
        stored=lambda w: (_letter(w).title_fr, _letter(w).audience),
        first={"title_fr": "Premier", "languages": ["fr"]},
        second={"title_fr": "Second"},
        expected=(("Premier", {"languages": ["fr"]}), ("Second", {})),
    ),
    "notifications.Incident": AdminEdit(
        obj=_incident,
        stored=lambda w: _incident(w).title_fr,
        first={"title_fr": "Premier"},
        second={"title_fr": "Second"},
        expected=("Premier", "Second"),
    ),
    "shops.PriceList": AdminEdit(
        obj=_prices,
        stored=lambda w: (_prices(w).name, str(_prices(w).tax_rate)),
        first={"name": "Premier", "tax_rate": "10.00"},
        second={"name": "Second"},
        expected=(("Premier", "10.00"), ("Second", "20.00")),
    ),
}
ADMIN_EDITS["auth.Group"] = AdminEdit(
    obj=lambda w: w.of("group", lambda: Group.objects.create(name="Avant")),
    stored=lambda w: w.of("group", lambda: None).name,
    first={"name": "Premier"},
    second={"name": "Second"},
    expected=("Premier", "Second"),
)
# The history of the product does not keep them.
WITHOUT_NAME = {"auth.Group"}
ADMIN_EXCEPTIONS: dict[str, str] = {
    "notifications.ApiToken": "nothing of it can be edited; revoking is one way",
    "shops.DataFormVersion": "a decision, once; see the test below",
}


def test_every_change_page_of_the_staff_site_is_played_or_excepted_with_a_reason() -> None:
    ours = {model._meta.label for model, page in admin.site._registry.items() if not isinstance(page, ReadOnlyAdmin)}
    assert ours == set(ADMIN_EDITS) | set(ADMIN_EXCEPTIONS)


def admin_url(obj: Any) -> str:
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])


def staff_clients(world: World) -> list[Client]:
    names = (("Alice", "Avant"), ("Bruno", "Apres"))
    return [world.client_for(StaffFactory(first_name=one, last_name=two), fresh=True) for one, two in names]


@pytest.mark.parametrize("merchant", [False, True], ids=["staff first", "merchant first"])
@pytest.mark.parametrize("label", ADMIN_EDITS)
def test_staff_who_save_second_are_told_and_overwrite_nothing_unknowingly(
    label: str, merchant: bool, world: World, standard_prices: None
) -> None:
    edit = ADMIN_EDITS[label]
    if merchant and edit.by_merchant is None:
        pytest.skip("no merchant edits this")
    first, second = staff_clients(world)
    url = admin_url(edit.obj(world))
    form = form_with(second.get(url), OPENED_ON)
    if merchant:
        assert edit.by_merchant
        edit.by_merchant(world)
    else:
        done = first.post(url, form_with(first.get(url), OPENED_ON).sent(**edit.first))
        assert done.status_code == 302, text(done)
    assert edit.stored(world) == edit.expected[0]

    refused = second.post(url, form.sent(**edit.second))
    said = text(refused)
    assert refused.status_code == 200 and TOLD in said, said
    assert FIRST_NAME in said or label in WITHOUT_NAME
    assert edit.stored(world) == edit.expected[0]
    back = form_with(refused, OPENED_ON)
    for name, value in edit.second.items():
        assert back.values[name] == [value]
        assert f"« {value} » est dans ce formulaire" in said

    assert second.post(url, back.sent()).status_code == 302
    assert edit.stored(world) == edit.expected[1]


def test_a_merchant_who_saves_after_staff_is_told(world: World) -> None:
    staff = staff_clients(world)[0]
    form = opened(EDITS["settings/shops/<str:site_id>/configuration/"], world, world.second)
    url = admin_url(world.shop)
    assert staff.post(url, form_with(staff.get(url), OPENED_ON).sent(name="Premier")).status_code == 302
    page = f"/settings/shops/{world.shop.site_id}/configuration/"
    refused = world.second.post(page, form.sent(name="Second"))
    assert TOLD in text(refused) and FIRST_NAME in text(refused)
    assert Shop.objects.get(pk=world.shop.pk).name == "Premier"


@pytest.mark.parametrize(
    ("label", "change"),
    [
        ("companies.User", lambda w: w.account.memberships.get().grants.create(shop=w.shop)),
        ("shops.Shop", lambda w: shop_services.contract_create(shop=w.shop, actor=w.actor, number="9", network="CB")),
        ("companies.Company", lambda w: ShopFactory(company=w.company)),
        (
            "notifications.Incident",
            lambda w: incidents.incident_tell(
                incident=_incident(w), actor=w.actor, state="identified", text_fr="Trouvé", text_en="Found"
            ),
        ),
        (
            "shops.PriceList",
            lambda w: _prices(w).items.filter(pk=_prices(w).items.first().pk).update(unit_price="9.9900"),
        ),
    ],
)
def test_a_row_changed_below_counts_as_well(
    label: str, change: Callable[[World], Any], world: World, standard_prices: None
) -> None:
    edit, client = ADMIN_EDITS[label], staff_clients(world)[1]
    url = admin_url(edit.obj(world))
    form = form_with(client.get(url), OPENED_ON)
    before = edit.stored(world)
    change(world)
    assert TOLD in text(client.post(url, form.sent(**edit.second)))
    assert edit.stored(world) == before


def test_the_second_decision_on_a_request_is_told_of_the_first(world: World) -> None:
    first, second = staff_clients(world)
    url = admin_url(world.requested())
    forms = [form_with(client.get(url), OPENED_ON) for client in (first, second)]
    assert first.post(url, forms[0].sent(decision="refuse", reason="Il manque une adresse.")).status_code == 302
    said = text(second.post(url, forms[1].sent(decision="approve"), follow=True))
    assert TOLD in said and FIRST_NAME in said
    assert world.requested().state == "refused"


def test_a_letter_that_has_left_says_so_to_whoever_still_writes_it(world: World) -> None:
    first, second = staff_clients(world)
    letter = _letter(world)
    form = form_with(second.get(admin_url(letter)), OPENED_ON)
    newsletters.newsletter_send(newsletter=letter, actor=world.actor, planned=1)
    said = text(second.post(admin_url(letter), form.sent(title_fr="Trop tard"), follow=True))
    assert TOLD in said and FIRST_NAME in said
    assert _letter(world).title_fr == "Avant"


def test_a_letter_that_was_rewritten_does_not_leave_unread(world: World) -> None:
    first, second = staff_clients(world)
    letter = _letter(world)
    preview = reverse("admin:notifications_newsletter_preview", args=[letter.pk])
    send = reverse("admin:notifications_newsletter_send", args=[letter.pk])
    form = form_with(second.get(preview), OPENED_ON, send)
    first.post(admin_url(letter), form_with(first.get(admin_url(letter)), OPENED_ON).sent(title_fr="Premier"))
    answer = second.post(send, form.sent(), follow=True)
    assert TOLD in text(answer) and FIRST_NAME in text(answer) and "Rien n'a été fait" in text(answer)
    assert not hasattr(_letter(world), "broadcast")
    question = second.post(send, form_with(answer, OPENED_ON, send).sent())
    assert second.post(send, form_with(question, "mass_mail_confirmed").sent()).status_code == 302
    assert _letter(world).broadcast


def test_the_second_to_close_a_company_reads_that_it_is_suspended_first(world: World) -> None:
    first, second = staff_clients(world)
    url, chosen = reverse("admin:companies_company_changelist"), {"_selected_action": [world.company.pk]}
    form = form_with(second.post(url, {"action": "close", **chosen}), OPENED_ON)
    question = form_with(first.post(url, {"action": "suspend", **chosen}), OPENED_ON)
    first.post(url, question.sent(reason="Impayé"))
    refused = second.post(url, form.sent(reason="Faillite"))
    said = text(refused)
    assert TOLD in said and FIRST_NAME in said and "Impayé" in said
    assert company_of(world).status == "suspended"
    again = form_with(refused, OPENED_ON)
    assert again.values["reason"] == ["Faillite"]
    assert second.post(url, again.sent()).status_code == 302
    assert (company_of(world).status, company_of(world).status_reason) == ("closed", "Faillite")
