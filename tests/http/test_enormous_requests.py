"""No request costs a minute: every form, search and body gets an enormous input, and answers fast and short."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any
from urllib.parse import quote_plus, urlencode, urljoin, urlsplit

import pytest
from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from backoffice.base import limits
from backoffice.base.fields import EmailListFormField, NamesField, StrictJSONField
from companies.audit import Actor
from companies.models import Company, User
from notifications.events.intake import validate_event
from notifications.models import ApiToken, Delivery, Event
from notifications.tokens import token_create
from shops.models import Shop
from tests.costs import steps
from tests.factories import (
    ApiTokenFactory,
    NotificationRuleFactory,
    StaffFactory,
)
from tests.html_forms import Form, forms_in
from tests.walk import account_makers, admin_makers, makers_of, put, routes, state_makers

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]
# What an answer may weigh, and the seconds that the processor may work for it in this thread: so many more than are
# needed that no machine is too slow, and far fewer than where the work grows with the square of what was sent.
LARGEST, SLOWEST = 2_000_000, 60.0
# As much as a form may bring at all.
BODY = settings.DATA_UPLOAD_MAX_MEMORY_SIZE - 60_000
LIST = "claire@lumiere.example;faux "
QUOTES = "'\"&<"
UNTOUCHED = QUOTES.replace("&", "") + "@;"
ENCODED_LIST, ENCODED_QUOTES = quote_plus(LIST, UNTOUCHED), quote_plus(QUOTES, UNTOUCHED)


class Undo(Exception):
    """Leaves a block and undoes what it wrote."""


@contextmanager
def undone() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
            raise Undo
    except Undo:
        cache.clear()


def measured(ask: Callable[[], Any], what: str) -> list[str]:
    """What is wrong with an answer: a defect, too much of it, or too much work."""
    # The first question of a process also compiles what it needs.
    started = time.thread_time()
    response = ask()
    taken = time.thread_time() - started
    size = sum(map(len, response.streaming_content)) if response.streaming else len(response.content)
    found = []
    if response.status_code >= 500:
        found.append(f"{what}: {response.status_code}")
    if size > LARGEST:
        found.append(f"{what}: {size} bytes")
    if taken > SLOWEST:
        found.append(f"{what}: {taken:.1f} s")
    return found


@pytest.fixture
def fill(company: Company, shop: Shop, claire: User) -> Callable[[str], str]:
    makers = {
        **state_makers(company),
        "api-tokens/<int:key>": lambda: f"api-tokens/{ApiTokenFactory(company=company).pk}",
        **admin_makers(shop),
        **account_makers(claire),
        **makers_of(company, shop),
    }
    return lambda route: put(route, makers)


@pytest.fixture
def visitors(claire: User, client_for: ClientFor) -> dict[str, Client]:
    return {
        "anonymous": Client(),
        "administrator": client_for(claire, fresh=True),
        "staff": client_for(StaffFactory(), fresh=True),
    }


ALL = sorted(set(routes(admin=True)))
# One page shows its form to everybody: once is enough.
TYPED_BY_ALL = ("language/", "company/", "accounts/logout/")


def _area(route: str) -> str:
    return "/".join(route.split("/")[:3])


# Stands in a form for what is long; encoding two mebibytes each time would cost more than what is measured.
LONG_TEXT = "THE-LONG-TEXT"


def _encoded(values: dict[str, list[str]], long: str) -> str:
    """The body of a form, with `long`, encoded already, where LONG_TEXT stands."""
    return urlencode(values, doseq=True, safe=UNTOUCHED).replace(LONG_TEXT, long)


def _enormous(form: Form) -> Iterator[tuple[str, str]]:
    """The form with one field at a time full of a list, and with all of them full of what pages have to escape."""
    for name in form.texts - {"csrfmiddlewaretoken"}:
        room = BODY - sum(len(value) for values in form.values.values() for value in values)
        # As long encoded as it is, so it can be cut there.
        yield name, _encoded(form.sent(**{name: LONG_TEXT}), (ENCODED_LIST * (room // len(LIST) + 1))[:room])
    # The ampersand takes three characters on its way.
    share = BODY // max(1, len(form.values)) // (len(QUOTES) + 2)
    yield "*", _encoded({name: [LONG_TEXT] for name in form.values}, ENCODED_QUOTES * share)


@pytest.mark.parametrize("area", sorted({_area(route) for route in ALL if not route.startswith("api/")}))
def test_no_form_of_any_page_costs_much(area: str, visitors: dict[str, Client], fill: Callable[[str], str]) -> None:
    wrong, met = [], set()
    for route in (route for route in ALL if _area(route) == area):
        with undone():
            url = fill(route)
            for who, client in visitors.items():
                kept = {name: morsel.value for name, morsel in client.cookies.items()}
                with undone():
                    page = client.get(url)
                    found = forms_in(page) if page.status_code == 200 and not page.streaming else []
                for form in found:
                    to = urljoin(url, form.action)
                    if urlsplit(to).path.strip("/") + "/" in TYPED_BY_ALL:
                        continue
                    for name, body in _enormous(form):
                        # Boxes of a list of objects differ by their number only.
                        mark = (route, urlsplit(form.action).path, name)
                        if mark in met:
                            continue
                        met.add(mark)
                        with undone():
                            wrong += measured(
                                lambda to=to, body=body, client=client: client.generic(
                                    "POST", to, body, "application/x-www-form-urlencoded"
                                ),
                                f"{route} → {form.action} as {who}, {name}",
                            )
                        client.cookies.clear()
                        for cookie, value in kept.items():
                            client.cookies[cookie] = value
    assert wrong == []


# --- Searches and addresses ------------------------------------------------------------------------


SEARCHED = sorted(
    route
    for route in ALL
    if not route.startswith(("api/", "accounts/", "static/"))
    # Ends with an action; its page is asked for above.
    and not route.endswith(("/delete/", "/end/", "/invite/"))
)


@pytest.mark.parametrize("area", sorted({route.split("/")[0] for route in SEARCHED}))
def test_no_search_and_no_filter_costs_much(area: str, visitors: dict[str, Client], fill: Callable[[str], str]) -> None:
    """As long as an address may be; beyond it is refused at the door."""
    names = ("q", "shop", "status", "address", "created_from", "amount_min", "page", "about", "preview", "p", "o")
    room = limits.LONGEST_QUERY // len(names) - 20
    queries = [
        urlencode(dict.fromkeys(names, QUOTES * (room // 20))),
        "q=" + "a" * (limits.LONGEST_QUERY // 2) + "&" + "&".join(f"shop={9 * n}" for n in range(600)),
    ]
    wrong = []
    for route in (route for route in SEARCHED if route.split("/")[0] == area):
        with undone():
            url = fill(route)
            client = visitors["staff" if area == "admin" else "administrator"]
            kept = {name: morsel.value for name, morsel in client.cookies.items()}
            for query in queries:
                with undone():
                    wrong += measured(
                        lambda query=query, url=url, client=client: client.get(f"{url}?{query}"),
                        f"{route}?{query[:30]}",
                    )
                client.cookies.clear()
                for cookie, value in kept.items():
                    client.cookies[cookie] = value
    assert wrong == []


@pytest.mark.parametrize("path", ["/notifications/journal/", "/admin/companies/company/", "/accounts/login/", "/x/"])
def test_an_address_of_absurd_length_is_refused_before_anything_is_looked_up(path: str, client: Client) -> None:
    for url in (f"{path}?q={'a' * (limits.LONGEST_QUERY + 1)}", path + "a" * limits.LONGEST_QUERY + "/"):
        with CaptureQueriesContext(connection) as asked:
            response = client.get(url)
        assert response.status_code == 414
        assert "raccourcissez" in response.text
        assert len(asked) == 0
    response = client.get(f"/api/v1/deliveries?event={'a' * (limits.LONGEST_QUERY + 1)}")
    assert response.status_code == 414
    assert response.json()["status"] == 414


def test_thousands_of_parameters_are_refused(client: Client) -> None:
    query = "&".join(f"a{n}=1" for n in range(1500))
    assert client.get(f"/accounts/login/?{query}").status_code in (200, 400)
    assert client.post("/accounts/login/", query, content_type="application/x-www-form-urlencoded").status_code == 400


# --- Lists of addresses ----------------------------------------------------------------------------


def _incident_form(client: Client, typed: str) -> Any:
    page = client.get("/settings/company/")
    (form,) = [form for form in forms_in(page) if "incident_emails" in form.values]
    return client.post("/settings/company/", form.sent(incident_emails=typed))


def test_a_hundred_thousand_addresses_are_counted_and_none_is_looked_at(
    claire: User, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backoffice.text import addresses

    looked: list[str] = []
    judge = addresses.validate
    monkeypatch.setattr(addresses, "validate", lambda text: (looked.append(text), judge(text))[1])
    client = client_for(claire)
    page = _incident_form(client, "; ".join(f"a{n}@x.example" for n in range(100_000)))
    assert page.status_code == 200
    assert "100\u00a0000 adresses : cette liste en compte 500 au plus." in page.text
    assert len(page.content) < LARGEST
    # The two contacts of the form, each once or twice; nothing of the list.
    assert len(looked) < 10
    assert Company.objects.get().incident_emails == []


def test_the_first_twenty_bad_addresses_are_named_and_the_others_counted(claire: User, client_for: ClientFor) -> None:
    typed = "; ".join(f"faux{n}" for n in range(450))
    page = _incident_form(client_for(claire), typed)
    shown = page.text
    assert "« faux19 »" in shown
    assert "« faux20 »" not in shown
    assert "… et 430 autres." in shown
    # As much as that comes back whole.
    assert escape(typed) in shown


def test_five_hundred_addresses_are_taken(claire: User, client_for: ClientFor) -> None:
    page = _incident_form(client_for(claire), "; ".join(f"a{n}@x.example" for n in range(500)))
    assert page.status_code == 302
    assert len(Company.objects.get().incident_emails) == 500


def _document(**company: Any) -> dict[str, Any]:
    return {
        "companies": [
            {"reference": "neuve", "name": "Neuve", "manager_contact": {"email": "claire@neuve.example"}, **company}
        ]
    }


def _rule(**fields: Any) -> dict[str, Any]:
    rule = {"reference": "a", "type": "merchant_email", "triggers": ["payment.accepted"], **fields}
    return _document(shops=[{"site_id": "10000001", "name": "Une", "rules": [rule]}])


CONDITION = {"variable": "amount", "operator": "gt", "value": 1}
MANY = [f"a{n}@x.example" for n in range(100_000)]
FILES: dict[str, tuple[Any, str]] = {
    "incident addresses": (_document(incident_emails=MANY), "cette liste en compte 500 au plus"),
    "recipients": (_rule(recipients=MANY), "cette liste en compte 500 au plus"),
    "bad recipients": (_rule(recipients=[f"faux{n}" for n in range(500)]), "… et 480 autres."),
    "conditions": (_rule(conditions=[CONDITION] * 50_000), "compte au plus 40 conditions"),
    "values": (
        _rule(conditions=[{"variable": "contract", "operator": "in", "value": ["x"] * 50_000}]),
        "compte au plus 1000 valeurs",
    ),
    "triggers": (_rule(triggers=["rien"] * 100_000), "n'est pas un événement déclencheur connu"),
    "unknown keys": (_document(**{f"k{n}": 1 for n in range(140_000)}), "… et 139\u00a0500 autres."),
    "a long value": (_document(name=["x"] * 500_000), "companies[0].name"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_provisioning_file_that_is_enormous_is_refused_soon_and_in_few_words(what: str, tmp_path: Any) -> None:
    document, told = FILES[what]
    file = tmp_path / "a.json"
    file.write_text(json.dumps(document))
    started = time.thread_time()
    with pytest.raises(CommandError) as refused:
        call_command("provision", str(file))
    assert time.thread_time() - started < SLOWEST
    assert told in str(refused.value)
    assert len(str(refused.value)) < 100_000
    assert not Company.objects.exists()


# --- The API ---------------------------------------------------------------------------------------


@pytest.fixture
def send(shop: Shop) -> Callable[[bytes], Any]:
    _token, text = token_create(name="ERP", company=None, actor=Actor.command("test"))

    def post(body: bytes) -> Any:
        return Client(headers={"authorization": f"Bearer {text}"}).post("/api/v1/events", body, "application/json")

    return post


def _event(n: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"evt-{n}",
        "type": "payment.accepted",
        "site_id": "10000001",
        "mode": "PRODUCTION",
        "occurred_at": "2026-11-24T10:00:00Z",
        **fields,
    }


def _filled(make: Callable[[int], dict[str, Any]]) -> bytes:
    return json.dumps([make(n) for n in range(1000)], separators=(",", ":"), ensure_ascii=False).encode()


LONG = "é" * 160
REFUSED: dict[str, bytes] = {
    "unknown fields": json.dumps(_event(1, **{f"k{n}": 1 for n in range(140_000)})).encode(),
    "unknown fields of each": _filled(lambda n: _event(n, **{f"k{i}": 1 for i in range(200)})),
    "bad values of each": _filled(
        lambda n: dict.fromkeys(("id", "type", "site_id", "mode", "occurred_at", "version"), LONG)
    ),
    "bad data of each": _filled(
        lambda n: _event(n, data={name: [LONG] for name in ("amount", "currency", "source", "order_id", "network")})
    ),
    "ids": _filled(lambda n: {"id": "\x01" * 300}),
    "unknown shops": _filled(lambda n: _event(n, site_id=f"{n:08d}")),
    "no objects": b"[" + b",".join([b"1"] * 1000) + b"]",
    "one long id": json.dumps(_event(1, id="x" * 2_000_000)).encode(),
    "deep": b'{"id":' + b"[" * 900_000 + b"]" * 900_000 + b"}",
    "a giant number": b'{"id":' + b"9" * 2_000_000 + b"}",
    "a large number": json.dumps(_event(1, data={"amount": 10**4000})).encode(),
    "lone surrogates": json.dumps(_event(1, data={"x": "\ud800" * 300_000})).encode(),
    "many keys twice": b"{" + b",".join([b'"a":1'] * 300_000) + b"}",
    "one key": json.dumps({"k" * 1_900_000: 1}).encode(),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_body_of_two_mebibytes_is_refused_soon_and_in_few_words(
    what: str, send: Callable[[bytes], Any], shop: Shop
) -> None:
    assert len(REFUSED[what]) <= settings.API_MAX_BODY_BYTES
    with CaptureQueriesContext(connection) as asked:
        assert measured(lambda: send(REFUSED[what]), what) == []
    # Whatever the length of the list: the token, and the shops all at once.
    assert len(asked) < 12
    assert not Event.objects.exists()


ENORMOUS_SETTINGS: dict[str, tuple[Any, int]] = {
    "unknown keys": ({f"k{n}": 1 for n in range(140_000)}, 422),
    "users": ({"users": [{"login": f"u{n}"} for n in range(100_000)]}, 413),
    "new accounts": ({"users": [{"login": f"u{n}", "email": f"u{n}@x.example"} for n in range(301)]}, 413),
    "shops that are none": ({"shops": [1] * 5_000}, 422),
    "contracts": ({"shops": [{"site_id": "10000001", "contracts": [{}] * 400_000}]}, 413),
    "addresses": ({"incident_emails": MANY[:90_000]}, 422),
}


@pytest.mark.parametrize("what", ENORMOUS_SETTINGS)
@pytest.mark.parametrize("query", ["", "?plan=true"])
def test_enormous_settings_are_refused_soon_and_in_few_words(what: str, query: str, shop: Shop) -> None:
    body, status = ENORMOUS_SETTINGS[what]
    _token, text = token_create(name="ERP", company=shop.company, actor=Actor.command("test"))
    client = Client(headers={"authorization": f"Bearer {text}", "if-match": "*"})
    raw = json.dumps(body, separators=(",", ":")).encode()
    assert len(raw) <= settings.API_MAX_BODY_BYTES
    answers = []
    assert (
        measured(
            lambda: (
                answers.append(
                    client.put(f"/api/v1/companies/{shop.company.reference}{query}", raw, "application/json")
                )
                or answers[0]
            ),
            what,
        )
        == []
    )
    assert answers[0].status_code == status
    assert len(answers[0].json().get("errors", [])) <= limits.MAX_ERRORS + 1


def test_a_thousand_events_that_are_accepted_cost_no_more(send: Callable[[bytes], Any], shop: Shop) -> None:
    """Each leads to a mail to the merchant, one to the buyer and a call."""
    for reference, more in (
        ("mail", {}),
        ("buyer", {"type": "buyer_email", "recipients": []}),
        ("call", {"type": "ipn_call", "url_production": "https://receiver.example/"}),
    ):
        NotificationRuleFactory(shop=shop, reference=reference, **more)
    data = {"amount": 1990, "currency": "EUR", "order_id": "C-1", "buyer_email": "jeanne@acheteur.example"}
    body = _filled(lambda n: _event(n, data=data))
    assert measured(lambda: send(body), "accepted") == []
    assert Delivery.objects.count() == 3000


def test_the_first_twenty_errors_of_an_event_are_named_and_the_others_counted(send: Callable[[bytes], Any]) -> None:
    response = send(json.dumps(_event(1, **{f"k{n}": 1 for n in range(100_000)})).encode())
    assert response.status_code == 422
    errors = response.json()["errors"]
    assert [error["field"] for error in errors] == [*(f"k{n}" for n in range(20)), ""]
    assert errors[-1]["message"] == "… et 99\u00a0980 autres."
    found = send(_filled(lambda n: _event(n, **{f"k{i}": 1 for i in range(200)}))).json()
    assert found["rejected"] == len(found["results"]) == 1000
    assert "… et 180 autres." in found["results"][0]["error"]
    # Every event says that it was refused, the later ones no more than that.
    assert all(result["error"] and result["errors"] for result in found["results"])


def test_a_list_of_accepted_events_asks_for_its_shops_once(send: Callable[[bytes], Any], shop: Shop) -> None:
    with CaptureQueriesContext(connection) as asked:
        response = send(json.dumps([_event(n) for n in range(20)]).encode())
    assert response.json()["accepted"] == 20
    assert sum('FROM "shops_shop" WHERE "site_id"' in query["sql"] for query in asked) == 1


def test_many_unknown_parameters_are_named_up_to_twenty(shop: Shop) -> None:
    _token, text = token_create(name="ERP", company=None, actor=Actor.command("test"))
    client = Client(headers={"authorization": f"Bearer {text}"})
    errors = client.get("/api/v1/deliveries?" + "&".join(f"a{n}=1" for n in range(900))).json()["errors"]
    assert len(errors) == limits.MAX_ERRORS + 1
    assert "880" in errors[-1]["message"]
    assert client.get("/api/v1/deliveries?" + "&".join(f"a{n}=1" for n in range(1200))).status_code == 422
    assert ApiToken.objects.count() == 1


def test_an_event_is_judged_in_one_pass_over_its_fields() -> None:
    """Twice as many fields, twice the work: none of it is done again for each error."""

    def work(n: int) -> int:
        body = _event(1, **{f"k{i}": i for i in range(n)})

        def judge() -> None:
            with pytest.raises(ValueError, match="autres"):
                validate_event(body)

        return steps(judge)

    work(100)  # the first question of a process also reads what it needs
    assert work(4_000) < 2.2 * work(2_000)


# --- Guards: what has no bound fails here ----------------------------------------------------------


def _all_forms(of: type[Any]) -> Iterator[type[Any]]:
    for form in of.__subclasses__():
        yield form
        yield from _all_forms(form)


def test_every_text_field_of_every_form_has_a_bound() -> None:
    """A field without one takes two mebibytes, judges and keeps them."""
    list(routes(admin=True))
    found = [
        form for form in _all_forms(forms.BaseForm) if not form.__module__.startswith(("allauth.", "django.", "tests."))
    ]
    assert len(found) > 50
    request: HttpRequest = RequestFactory().get("/")
    request.user = StaffFactory.build(is_superuser=True)
    for page in admin.site._registry.values():
        for inline in page.get_inline_instances(request):
            found.append(inline.get_formset(request).form)
    bounded = (EmailListFormField, NamesField, StrictJSONField)
    # A password is hashed, whatever its length; the library's ceremonies get their field in __init__.
    elsewhere = {
        ("LoginForm", "password"),
        ("PasswordProofForm", "password"),
        ("AddForm", "name"),
        ("RenameForm", "name"),
    }
    unbounded = {
        (form.__name__, name)
        for form in found
        for name, field in getattr(form, "base_fields", {}).items()
        if isinstance(field, forms.CharField)
        and field.max_length is None
        and not isinstance(field, bounded)
        and not any(getattr(validator, "code", "") == "max_length" for validator in field.validators)
        and name != "credential"
    }
    assert unbounded <= elsewhere


def test_all_that_is_typed_comes_back_when_a_form_is_refused_for_another_field(
    claire: User, shop: Shop, client_for: ClientFor
) -> None:
    """The bound on what a page shows begins where no valid value goes."""
    rule = NotificationRuleFactory(shop=shop, reference="ma-regle", type="merchant_email")
    client = client_for(claire)
    url = f"/settings/notification-rules/{shop.site_id}/{rule.reference}/"
    (form,) = [form for form in forms_in(client.get(url)) if "others" in form.values]
    typed = "; ".join(f"quelqu-un-{n}@{'x' * 50}.example" for n in range(500))
    page = client.post(url, form.sent(others=typed, label=""))
    assert page.status_code == 200
    assert escape(typed) in page.text
