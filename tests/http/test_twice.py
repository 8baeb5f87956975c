"""A form that is sent twice has one effect, and both get the same answer.

Every route that takes a POST is walked: its form is opened, filled in and sent twice, one after the other and at
the same moment. CASES says what is typed where the untouched form would come back, and in which state; a route
that changes nothing is in WITHOUT_EFFECT, so that a new one cannot be forgotten.
"""

import re
import threading
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client

from companies import submissions
from companies.models import KnownDevice, LoginRecord, Session, Submission
from shops.dataforms import public as form_pages
from shops.models import NumberSeries
from shops.orders import public as order_pages
from tests.html_forms import forms_in
from tests.http.sendable_forms import ROUTES, WITHOUT_EFFECT, ClientFor, Filled, World, cases, filled
from tests.http.test_walker_methods import ALL, GETS, STAFF, undone
from tests.races import unhurried
from tests.waiting import PATIENCE

# What every visit leaves, and counters.
LEFT_OUT = (Session, Submission, LoginRecord, KnownDevice, NumberSeries)


def counted() -> dict[str, int]:
    """How many rows each table has; every change that a person makes leaves one in the history."""
    return {model._meta.label: model._base_manager.count() for model in apps.get_models() if model not in LEFT_OUT}


def grown(before: dict[str, int]) -> dict[str, int]:
    return {name: n - before[name] for name, n in counted().items() if n != before[name]}


def answer(response: Any) -> tuple[Any, ...]:
    """What a visitor sees of an answer: not the nonce of its policy, which is new each time."""
    text = re.sub(r'nonce="[^"]*"', "", response.text) if not 300 <= response.status_code < 400 else ""
    return response.status_code, response.headers.get("Location"), text


@pytest.fixture(autouse=True)
def _quick_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is too fast here for the public forms, and nobody sends too often."""
    monkeypatch.setattr(order_pages, "FASTEST_SECONDS", -1)
    monkeypatch.setattr(form_pages, "FASTEST_SECONDS", -1)


AREAS = sorted({"/".join(route.split("/")[:3]) for route in ROUTES})


def of_area(area: str) -> list[str]:
    return [route for route in ROUTES if "/".join(route.split("/")[:3]) == area]


# --- The walks ------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.usefixtures("standard_prices")
@pytest.mark.parametrize("area", AREAS)
def test_a_form_sent_again_changes_nothing_more_and_gets_the_same_answer(area: str, client_for: ClientFor) -> None:
    wrong = []
    for route in of_area(area):
        for case in cases(route):
            with undone():
                form = filled(World(client_for), route, case)
                before = counted()
                first = form.send()
                between, effect = counted(), grown(before)
                second = form.send()
                if bool(effect) == (route in WITHOUT_EFFECT):
                    wrong.append(f"{route}: {first.status_code} {effect}")
                if more := grown(between):
                    wrong.append(f"{route}: the second time {more}")
                if effect and answer(first) != answer(second):
                    wrong.append(f"{route}: {answer(first)[:2]}, then {answer(second)[:2]}")
    assert wrong == []


def at_once(form: Filled, times: int = 2, *, waits: float = PATIENCE) -> list[Any]:
    """Send a form from several windows of one browser at the same moment; each waits for the first for so many seconds."""
    answers: list[Any] = []
    start = threading.Barrier(times)

    def window() -> None:
        client = Client()
        for name, morsel in form.client.cookies.items():
            client.cookies[name] = morsel.value
        start.wait(PATIENCE)
        try:
            answers.append(client.post(form.url, dict(form.data)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=window) for _ in range(times)]
    with unhurried(waits):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * PATIENCE)
    return answers


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("standard_prices")
@pytest.mark.parametrize("area", AREAS)
def test_a_form_sent_from_two_windows_at_once_has_one_effect_and_one_answer(area: str, client_for: ClientFor) -> None:
    wrong = []
    for route in of_area(area):
        for case in cases(route):
            if route in WITHOUT_EFFECT:
                continue
            worlds = World(client_for), World(client_for)
            once, twice = (filled(world, route, case) for world in worlds)
            if any(isinstance(value, SimpleUploadedFile) for value in twice.data.values()):
                # Two threads cannot read one file; the one after the other do.
                continue
            before = counted()
            once.send()
            between, effect = counted(), grown(before)
            answers = at_once(twice)
            if grown(between) != effect:
                told = [answer(one)[:2] for one in answers]
                wrong.append(f"{route}: {grown(between)} instead of {effect}, answered {told}")
            if len({answer(one) for one in answers}) != 1 or len(answers) != 2:
                wrong.append(f"{route}: {[answer(one)[:2] for one in answers]}")
    assert wrong == []


READS = sorted({"/".join(route.split("/")[:2]) for route in ALL if not route.startswith("api/")})


@pytest.mark.django_db
@pytest.mark.one_database
@pytest.mark.usefixtures("standard_prices")
@pytest.mark.parametrize("area", READS)
def test_every_form_of_every_page_has_an_identity_of_its_own(area: str, client_for: ClientFor) -> None:
    wrong = []
    for route in (route for route in ALL if "/".join(route.split("/")[:2]) == area and route in {**GETS, **STAFF}):
        with undone():
            world = World(client_for)
            page = world.client(route).get(world.put(route))
            if page.status_code != 200 or page.streaming or "html" not in page.headers["Content-Type"]:
                continue
            for form in forms_in(page):
                found = form.values.get(submissions.FIELD, [])
                if len(found) != 1 or len(found[0]) < 20:
                    wrong.append(f"{route}: {form.action} {found}")
            identities = re.findall(rf'name="{submissions.FIELD}" value="([^"]+)"', page.text)
            if len(set(identities)) != len(identities):
                wrong.append(f"{route}: one identity for two forms")
    assert wrong == []
