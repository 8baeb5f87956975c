"""Two people on one form: the second to save is told, nothing is silently overwritten.

EDITS has a row for every page that edits something stored. Each row is played: both open the page, the first
saves, the second is refused with a reason in French and the first one's name, what the second typed is back,
the database holds what the first wrote; then the second, who knows now, saves again. A route that takes a
POST and is in no list fails.
"""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from companies.models import User
from notifications.rules import services as rule_services
from shops import services as shop_services
from shops.models import Shop
from shops.orders import services as order_services
from tests.factories import (
    UserFactory,
)
from tests.html_forms import form_with
from tests.http.edits import EDITS, FIRST_NAME, TOLD, Edit, World
from tests.http.test_walker import ELSEWHERE, routes

pytestmark = pytest.mark.django_db


NEW = "makes something new; what is stored already stays as it is"
SENDS = "sends what is frozen; it changes no setting"
OWN = "one's own sessions and secrets, for which there is no second writer"
BUYER = "the buyer's page: it adds an answer, a payment or a message and edits nothing"
ACCEPTED = "one date, shown with who chose it; it decides nothing that is sent"
EXCEPTIONS: dict[str, str] = {
    "account/sessions/<uuid:key>/end/": OWN,
    "account/sessions/end-others/": OWN,
    "settings/company/users/new/": NEW,
    "settings/company/sftp-accounts/new/": NEW,
    "settings/shops/new/": NEW,
    "settings/shops/<str:site_id>/contracts/new/": NEW,
    "settings/notification-rules/create/<str:site_id>/<uuid:draft>/<slug:step>/": NEW + ": one's own draft",
    "settings/notification-rules/<str:site_id>/<slug:reference>/duplicate/": NEW,
    "payment-orders/new/": NEW,
    "payment-orders/preview/<str:site_id>/": "shows a mail and stores nothing",
    "payment-orders/templates/<str:site_id>/new/": NEW,
    "payment-orders/templates/<str:site_id>/<int:key>/duplicate/": NEW,
    "settings/shops/<str:site_id>/keys/<slug:name>/": "names the generation it replaces; see the test below",
    "settings/shops/<str:site_id>/keys/<slug:name>/show/": "shows a key once; the second is told that it was shown",
    "settings/shops/<str:site_id>/keys/tests-done/": "one way, once; the second is told; see the test below",
    "settings/shops/<str:site_id>/data-form/answers/<uuid:key>/erase/": "one way: erased is erased",
    "settings/company/api-tokens/new/": NEW,
    "settings/company/api-tokens/<int:key>/replace/": "once: the second is told that there is a successor",
    "settings/company/api-tokens/<int:key>/revoke/": "one way, and never to be held up: a leak is stopped at once",
    "notifications/journal/<uuid:key>/resend/": SENDS,
    "notifications/journal/<uuid:key>/cancel/": SENDS,
    "notifications/journal/<uuid:key>/replay/": SENDS,
    "notifications/journal/replay/": SENDS,
    "notifications/replays/<uuid:run>/stop/": SENDS,
    "notifications/journal/many/": SENDS,
    "notifications/journal/filters/": "one's own searches, for which there is no second writer",
    "notifications/journal/filters/<int:key>/delete/": "one's own searches, for which there is no second writer",
    "settings/notification-rules/address/": "carries the versions of the rules: tests/notifications/many_rules/test_many_rules.py",
    "settings/notification-rules/<str:site_id>/<slug:reference>/copy/": "says that the other shops get the settings of this one, whatever theirs were",
    "reports/consistency/run/": SENDS,
    "forms/<str:token>/": BUYER,
    "forms/preview/<str:signed>/": BUYER,
    "orders/<str:token>/pay/": BUYER,
    "orders/<str:token>/problem/": BUYER,
    "notifications/addresses/replace/": "carries where the address stood: tests/backoffice/replacing/test_replace_page.py",
    "notifications/addresses/undo/<str:token>/": "refused once anything has changed: the same file",
    "notifications/addresses/verify/": "sends a mail, once in two minutes; the second is told",
    "notifications/addresses/reactivate/": "one way, under a lock; the second is told that nothing was suppressed",
    "verify/<str:token>/": "one way: confirmed is confirmed",
    "settings/company/mail-server/edit/": "carries a stamp, and tries a real server: tests/notifications/sending/test_relays.py",
    "settings/company/mail-server/remove/": "carries a stamp: the same file",
    "settings/shops/bulk/": "carries the versions of the shops: tests/shops/bulk/test_bulk.py",
    "notifications/coverage/company/<slug:notification>/accept/": ACCEPTED,
    "notifications/coverage/company/<slug:notification>/reopen/": ACCEPTED,
    "notifications/coverage/<str:site_id>/<slug:notification>/accept/": ACCEPTED,
    "notifications/coverage/<str:site_id>/<slug:notification>/reopen/": ACCEPTED,
    "notifications/coverage/remarks/<int:key>/close/": "one way: dealt with is dealt with",
    "why/<str:token>/": "adds a remark, once, and edits nothing",
    "newsletter/unsubscribe/<str:token>/": "one switch, by whoever holds the link of a mail",
}
_DUMMIES = {"int": "999999", "uuid": "00000000-0000-4000-8000-000000000000", "slug": "x", "str": "99999999"}


def text(response: Any) -> str:
    body = re.sub(r"<(script|style|select)\b.*?</\1>", " ", response.content.decode(), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture
def world(client_for: Callable[..., Client]) -> World:
    return World(client_for)


def test_every_route_that_takes_a_post_is_played_or_excepted_with_a_reason(world: World) -> None:
    unknown = []
    for route in routes():
        if not route or route in EDITS or route in EXCEPTIONS or route.startswith(ELSEWHERE):
            continue
        url = "/" + re.sub(r"<(\w+):\w+>", lambda match: _DUMMIES[match[1]], route)
        if world.second.post(url).status_code != 405:
            unknown.append(route)
    assert unknown == [], "play them in EDITS, or say in EXCEPTIONS why two writers cannot get in each other's way"


def test_no_row_is_left_behind() -> None:
    assert set(EDITS) | set(EXCEPTIONS) <= set(routes())
    assert not set(EDITS) & set(EXCEPTIONS)


def opened(edit: Edit, world: World, client: Client) -> Any:
    response = client.get(edit.url(world))
    assert response.status_code == 200, response.status_code
    return form_with(response, edit.marker, edit.action(world) if edit.action else "")


def typed_back(response: Any, edit: Edit) -> None:
    back = form_with(response, edit.marker).values
    for name, value in edit.second.items():
        assert back.get(name) == [str(value)], name


@pytest.mark.parametrize("route", EDITS)
def test_the_second_is_told_keeps_what_they_typed_and_decides_knowingly(route: str, world: World) -> None:
    edit = EDITS[route]
    if edit.before:
        edit.before(world)
    url = edit.action(world) if edit.action else edit.url(world)
    form = opened(edit, world, world.second)

    if callable(edit.first):
        edit.first(world)
    else:
        done = world.first.post(url, opened(edit, world, world.first).sent(**edit.first))
        assert done.status_code == 302, text(done)
    assert edit.stored(world) == edit.expected[0]

    refused = world.second.post(url, form.sent(**edit.second), follow=edit.by_message)
    said = text(refused)
    assert refused.status_code == 200
    assert TOLD in said and FIRST_NAME in said, said
    assert edit.stored(world) == edit.expected[0]

    if edit.by_message:
        assert "Rien n'a été fait" in said
        again = opened(edit, world, world.second)
    else:
        typed_back(refused, edit)
        again = form_with(refused, edit.marker)
    saved = world.second.post(url, again.sent(**(edit.second if edit.by_message else {})))
    assert saved.status_code == 302, text(saved)
    assert edit.stored(world) == edit.expected[1]


@pytest.mark.parametrize(
    "route",
    [route for route, edit in EDITS.items() if edit.second and not callable(edit.first) and not edit.by_message],
)
def test_the_notice_says_what_differs_and_how_to_start_again_in_english_too(route: str, world: World) -> None:
    edit = EDITS[route]
    User.objects.filter(pk=world.bruno.pk).update(language="en")
    world.second.cookies["django_language"] = "en"
    form = opened(edit, world, world.second)
    assert not callable(edit.first)
    world.first.post(edit.url(world), opened(edit, world, world.first).sent(**edit.first))
    said = text(world.second.post(edit.url(world), form.sent(**edit.second)))
    assert "changed by somebody else" in said and FIRST_NAME in said
    assert "What differs" in said and "Saved now" in said and "Start again from what is saved" in said


def _remove_contract(w: World) -> Any:
    return shop_services.contract_remove(contract=w.contract, actor=w.actor)


def _remove_rule(w: World) -> Any:
    return rule_services.rule_delete(rule=w.rule, actor=w.actor)


def _remove_template(w: World) -> Any:
    return order_services.order_template_delete(template=w.template, actor=w.actor)


REMOVED: dict[str, Callable[[World], Any]] = {
    route: remove
    for start, remove in (
        ("settings/shops/<str:site_id>/contracts/", _remove_contract),
        ("settings/notification-rules/", _remove_rule),
        ("payment-orders/templates/", _remove_template),
    )
    for route in EDITS
    if route.startswith(start)
}


@pytest.mark.parametrize("route", REMOVED)
def test_who_sends_a_page_of_something_removed_reads_who_removed_it(route: str, world: World) -> None:
    edit = EDITS[route]
    if edit.before:
        edit.before(world)
    url = edit.action(world) if edit.action else edit.url(world)
    form = opened(edit, world, world.second)
    REMOVED[route](world)
    answer = world.second.post(url, form.sent(**edit.second), follow=True)
    assert answer.status_code == 200 and "Rien n'est enregistré" in text(answer)
    assert f"par {FIRST_NAME}" in text(answer)
    # Who only looks, or belongs to another company, finds nothing.
    stranger = world.client_for(UserFactory(), fresh=True)
    assert stranger.post(url, form.sent(opened_under=None, **edit.second)).status_code == 404


# --- Keys -----------------------------------------------------------------------------------------


def test_the_second_to_regenerate_a_key_learns_who_was_faster(world: World) -> None:
    url = f"/settings/shops/{world.shop.site_id}/keys/{world.key.kind}/"
    forms = [form_with(client.get(url), "seen") for client in (world.first, world.second)]
    assert world.first.post(url, forms[0].sent(key_format="ALPHANUMERIC")).status_code == 200
    value = world.key.value
    said = text(world.second.post(url, forms[1].sent(key_format="ALPHANUMERIC"), follow=True))
    assert "déjà été générée" in said and FIRST_NAME in said
    assert world.key.value == value


def test_the_second_reason_for_the_end_of_the_tests_does_not_pass_for_the_first(world: World) -> None:
    url = f"/settings/shops/{world.shop.site_id}/keys/"
    forms = [form_with(client.get(url), "reason") for client in (world.first, world.second)]
    world.first.post(f"{url}tests-done/", forms[0].sent(reason="premier motif"))
    said = text(world.second.post(f"{url}tests-done/", forms[1].sent(reason="second motif"), follow=True))
    assert FIRST_NAME in said and "Rien n'a été fait" in said
    assert Shop.objects.get(pk=world.shop.pk).tests_done_reason == "premier motif"
