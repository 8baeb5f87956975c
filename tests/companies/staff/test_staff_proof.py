"""The team proves who it is before it changes accounts, rights, keys or tokens; what was typed is kept."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from companies.models import AuditEntry, Membership, Session, SftpAccount, User
from notifications.models import ApiToken, Delivery
from shops.models import Shop
from tests import factories
from tests.factories import PASSWORD
from tests.html_forms import form_with

pytestmark = pytest.mark.django_db

PROOF = "/accounts/reauthenticate/"
# Every page of the team: whether what is sent to it waits for a proof. A new page has to say.
PAGES = {
    "auth.Group": True,
    "companies.AuditEntry": False,
    "companies.Company": False,
    "companies.SftpAccount": True,
    "companies.User": True,
    "notifications.AddressHealth": False,
    "notifications.ApiToken": True,
    "notifications.Delivery": False,
    "notifications.Event": False,
    "notifications.Incident": False,
    "notifications.Newsletter": False,
    "notifications.NotificationRule": False,
    "shops.BillingDocument": False,
    "shops.DataFormVersion": False,
    "shops.PaymentOrder": False,
    "shops.PriceList": False,
    # Only where it touches the keys, and a company only where it comes with a user: see below.
    "shops.Shop": False,
}
PROVEN = [label for label, waits in PAGES.items() if waits]
# As for merchants: a leak must be stopped in seconds.
AT_ONCE = {("notifications.ApiToken", "revoke")}
# Read into an object of its own each time.
ENCRYPTED = {"unrevealed_password"}
MAKERS: dict[str, Callable[[], Any]] = {
    "auth.Group": lambda: Group.objects.create(name="Équipe"),
    "companies.SftpAccount": factories.SftpAccountFactory,
    "companies.User": factories.UserFactory,
    "notifications.ApiToken": lambda: factories.ApiTokenFactory(company=factories.CompanyFactory()),
}


@pytest.fixture
def staff(ines: User, client_for: Callable[..., Client]) -> Client:
    """Logged in, and no proof given."""
    client: Client = client_for(ines)
    return client


def named(page: Any, name: str, *args: Any) -> str:
    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_{name}", args=args)


def page_of(label: str) -> Any:
    return next(page for model, page in admin.site._registry.items() if model._meta.label == label)


def state() -> Any:
    """All that such a page could write."""
    return [
        list(
            model.objects.order_by("pk").values_list(
                *(it.name for it in model._meta.fields if it.name not in ENCRYPTED)
            )
        )
        for model in (User, Membership, SftpAccount, ApiToken, Group, Permission, Shop, AuditEntry, Delivery, LogEntry)
    ] + [Session.objects.count(), Authenticator.objects.count(), list(Group.permissions.through.objects.values_list())]


def asks(answer: Any, url: str) -> bool:
    wanted = f"{PROOF}?{urlencode({'next': url.partition('?')[0]})}"
    return answer.status_code == 302 and bool(answer.headers["Location"] == wanted)


def prove(client: Client, answer: Any, password: str = PASSWORD) -> Any:
    """Follow the way to the proof page and fill it in as a browser does."""
    where = answer.headers["Location"]
    form = form_with(client.get(where), "password")
    return client.post(where, form.sent(password=password))


def test_every_page_of_the_team_says_whether_it_waits_for_a_proof() -> None:
    found = {model._meta.label: page.proven for model, page in admin.site._registry.items()}
    assert found == PAGES
    changed = {
        label for label in PAGES if type(page_of(label)).asks_proof is not type(page_of("companies.User")).asks_proof
    }
    assert changed == {"companies.Company", "shops.Shop"}


@pytest.mark.parametrize("label", PROVEN)
def test_nothing_sent_to_them_has_an_effect_before_the_proof(label: str, staff: Client, ines: User) -> None:
    page, obj = page_of(label), MAKERS[label]()
    url = named(page, "changelist")
    assert staff.get(url).status_code == 200 and staff.get(named(page, "change", obj.pk)).status_code == 200
    form = form_with(staff.get(named(page, "change", obj.pk)), "csrfmiddlewaretoken")
    before = state()
    request = type("Request", (), {"user": ines, "GET": {}, "POST": {}, "method": "POST"})()
    sent = [
        (named(page, "add"), {}),
        (named(page, "change", obj.pk), {}),
        (named(page, "change", obj.pk), {**form.values, "is_superuser": "on", "email": "moi@equipe.example"}),
    ]
    if page.has_delete_permission(request, obj):
        sent.append((named(page, "delete", obj.pk), {"post": "yes"}))
    for action in page.get_actions(request):
        if (label, action) not in AT_ONCE:
            sent.append((url, {"action": action, "_selected_action": [str(obj.pk)], "post": "yes"}))
            # The second menu of a list counts as well.
            sent.append((url, {"action": ["", action], "index": "1", "_selected_action": [str(obj.pk)], "post": "yes"}))
    for address, data in sent:
        assert asks(staff.post(address, data), address), (address, data)
        assert state() == before, (address, data)


@pytest.mark.parametrize("label", sorted({*PAGES} - {*PROVEN}))
def test_the_others_ask_for_none(label: str, staff: Client) -> None:
    page = page_of(label)
    for address in (named(page, "add"), named(page, "changelist")):
        answer = staff.post(address, {"action": "suspend", "_selected_action": ["1"]})
        assert not answer.headers.get("Location", "").startswith(PROOF)


def test_to_see_as_somebody_asks_for_it_and_keeps_the_reason(staff: Client) -> None:
    user = factories.UserFactory()
    url = reverse("admin:companies_user_view_as", args=[user.pk])
    assert staff.get(url).status_code == 200
    answer = staff.post(url, {"reason": "demande 4711"})
    assert asks(answer, url) and not AuditEntry.objects.exists()
    assert prove(staff, answer).headers["Location"] == "/"
    assert AuditEntry.objects.get(action="user.viewed_as").changes == {"reason": [None, "demande 4711"]}


@pytest.mark.parametrize("field", ["algorithm_test", "algorithm_production", "tests_done_reason"])
def test_a_shop_asks_for_it_where_its_keys_are_concerned(staff: Client, field: str) -> None:
    shop = factories.ShopFactory(name="Avant")
    url = reverse("admin:shops_shop_change", args=[shop.pk])
    form = form_with(staff.get(url), "algorithm_test")
    assert staff.post(url, form.sent(name="Après")).headers["Location"] == reverse("admin:shops_shop_changelist")
    form = form_with(staff.get(url), "algorithm_test")
    before = state()
    typed = "SHA-1" if field != "tests_done_reason" else "essais faits ensemble"
    answer = staff.post(url, form.sent(**{field: typed}))
    assert asks(answer, url) and state() == before
    prove(staff, answer)
    assert getattr(Shop.objects.get(), field) == typed


def test_a_company_asks_for_it_where_it_comes_with_a_first_user(staff: Client) -> None:
    url = reverse("admin:companies_company_add")
    needed = {"name": "Neuve", "manager_email": "anna@neuve.example", "incident_emails": "anna@neuve.example"}

    def filled(**more: str) -> dict[str, list[str]]:
        return form_with(staff.get(url), "reference").sent(**needed, shop_name="Une", **more)

    assert staff.post(url, filled(reference="seule")).headers["Location"] == reverse(
        "admin:companies_company_changelist"
    )
    before = state()
    answer = staff.post(url, filled(reference="habitee", user_login="anna"))
    assert asks(answer, url) and state() == before
    prove(staff, answer)
    assert User.objects.get(login="anna").company.reference == "habitee"  # type: ignore[union-attr]


def test_what_was_typed_is_saved_once_the_proof_is_given(staff: Client) -> None:
    user = factories.UserFactory(email="avant@lumiere.example")
    # A list that was filtered on the way is part of the address, and of what is kept.
    url = f"{reverse('admin:companies_user_change', args=[user.pk])}?_changelist_filters=is_active__exact%3D1"
    form = form_with(staff.get(url), "email")
    answer = staff.post(url, form.sent(email="apres@lumiere.example", login="renomme"))
    assert asks(answer, url)
    assert prove(staff, answer, "faux").status_code == 200
    assert User.objects.get(pk=user.pk).email == "avant@lumiere.example"
    done = prove(staff, answer)
    assert done.headers["Location"] == f"{reverse('admin:companies_user_changelist')}?is_active__exact=1"
    user.refresh_from_db()
    assert (user.email, user.login) == ("apres@lumiere.example", "renomme")


def test_a_new_account_and_an_action_on_many_go_on_after_the_proof(staff: Client) -> None:
    company = factories.CompanyFactory()
    url = reverse("admin:companies_user_add")
    data = {"company": company.pk, "login": "marie", "email": "marie@a.example", "role": "manager"}
    prove(staff, staff.post(url, data))
    assert Membership.objects.get(user__login="marie").role == "manager"
    # The same proof serves for some minutes.
    listing = reverse("admin:companies_user_changelist")
    chosen = User.objects.filter(login="marie").values_list("pk", flat=True)
    answer = staff.post(listing, {"action": "send_link", "_selected_action": list(chosen)})
    assert answer.headers["Location"] == listing
    assert Delivery.objects.filter(notification="account_security", address="marie@a.example").count() == 1


def test_a_typed_token_keeps_its_name_over_the_proof(staff: Client) -> None:
    url = reverse("admin:notifications_apitoken_add")
    sent = {"name": "Banque", "company": "", "expires_at_0": "", "expires_at_1": "", "scopes": ["deliveries:read"]}
    answer = staff.post(url, sent)
    assert asks(answer, url) and not ApiToken.objects.exists()
    prove(staff, answer)
    assert ApiToken.objects.get().name == "Banque"


def test_a_missing_right_is_told_before_any_proof(client_for: Callable[..., Client]) -> None:
    reader = factories.StaffFactory(is_superuser=False)
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client, user = client_for(reader), factories.UserFactory()
    for name, args in (
        ("user_change", [user.pk]),
        ("user_add", []),
        ("user_view_as", [user.pk]),
        ("sftpaccount_add", []),
    ):
        assert client.post(reverse(f"admin:companies_{name}", args=args), {"reason": "x"}).status_code == 403
    group = Group.objects.create(name="Équipe")
    reader.user_permissions.set(Permission.objects.all())
    client = client_for(reader, fresh=True)
    # Who may change a group could give himself every right.
    for name in ("change", "delete"):
        assert client.post(reverse(f"admin:auth_group_{name}", args=[group.pk]), {"name": "Tous"}).status_code == 403


def test_a_leaked_token_is_revoked_without_delay(staff: Client) -> None:
    token = factories.ApiTokenFactory(company=factories.CompanyFactory())
    staff.post(reverse("admin:notifications_apitoken_changelist"), {"action": "revoke", "_selected_action": [token.pk]})
    token.refresh_from_db()
    assert token.revoked_at is not None
