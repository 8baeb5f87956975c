"""Fixtures of the whole suite."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from allauth.account.internal.flows.login import record_authentication
from django.apps import apps
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from factory.django import DjangoModelFactory
from hypothesis import HealthCheck
from hypothesis import settings as property_settings

from backoffice.base import ratelimit
from companies.models import User
from notifications.timeline.recording import RECORD
from tests import factories, migrated_copy, quick_flush, slow
from tests.cast import claire, company, emma, ines, lea, lyon, marc, nice, paris, paul, shop
from tests.codes import one_step
from tests.garbage import pytest_collection_finish
from tests.selection import pytest_collection_modifyitems
from tests.slow import (
    pytest_runtest_logreport,
    pytest_runtest_setup,
    pytest_runtest_teardown,
    pytest_sessionfinish,
)
from tests.smtp import SmtpServer

# Hooks and fixtures, found here by their names.
__all__ = [
    "claire",
    "company",
    "emma",
    "ines",
    "lea",
    "lyon",
    "marc",
    "nice",
    "one_step",
    "paris",
    "paul",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_runtest_logreport",
    "pytest_runtest_setup",
    "pytest_runtest_teardown",
    "pytest_sessionfinish",
    "shop",
]

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
# How fast values are drawn or an example runs tells of the machine: a busy one fails no test. CI draws the same values
# of the same test each time; new ones are for developers to find, who are told how to draw what failed again.
property_settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=IN_CI, print_blob=True
)
property_settings.load_profile("suite")
FACTORIES = [
    made for made in vars(factories).values() if isinstance(made, type) and issubclass(made, DjangoModelFactory)
]
SHOPS_OF_THE_CAST = {"paris", "lyon", "nice"}
SERVICES = {"rabbitmq": ("127.0.0.1", 5672), "redis": ("127.0.0.1", 6379)}


def _absent(reason: str) -> None:
    """A missing tool or service is a visible skip on a developer's machine, a failure in CI."""
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="session")
def _emptied_quickly() -> None:
    quick_flush.install()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """The last that is asked for before the database is made."""
    migrated_copy.install()
    slow.database_begins()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """The first that runs once it is made."""
    slow.database_is_made()


@pytest.fixture(autouse=True)
def _needed_service(request: pytest.FixtureRequest) -> None:
    for name, address in SERVICES.items():
        if request.node.get_closest_marker(name):
            try:
                socket.create_connection(address, timeout=2).close()
            except OSError:
                _absent(f"{name} does not answer on {address[0]}:{address[1]}")
    if request.node.get_closest_marker("postgres") and connection.vendor != "postgresql":
        pytest.skip("runs on PostgreSQL only")


@pytest.fixture(autouse=True)
def _factories_count_from_the_start(request: pytest.FixtureRequest) -> None:
    """What a factory numbers says nothing of the tests that ran before: whatever collides does so in every order."""
    for made in FACTORIES:
        made.reset_sequence(0, force=True)
    # Beside shops of the cast, which have the first numbers, others follow behind them.
    if SHOPS_OF_THE_CAST & set(request.fixturenames):
        factories.ShopFactory.reset_sequence(len(SHOPS_OF_THE_CAST), force=True)


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    """Rate limits count per test, and their windows begin with it: none ends on the way because the hour is full."""
    began = time.time()
    ratelimit.allow.__kwdefaults__["clock"] = lambda: 1_800_000_000 + time.time() - began
    yield
    cache.clear()


# Where settings are written in every way there is: screens, admin, services, files, the API.
WRITING_SETTINGS = (
    "tests/companies/",
    "tests/shops/",
    "tests/backoffice/provisioning/",
    "tests/notifications/rules/",
    "tests/notifications/api/test_settings_api.py",
    "tests/http/test_twice.py",
    "tests/http/test_concurrent",
)


@pytest.fixture(autouse=True)
def _settings_are_recorded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did to settings, the record of them says what they are."""
    written = str(request.path.relative_to(django_settings.BASE_DIR)).startswith(WRITING_SETTINGS)
    if not written or not request.node.get_closest_marker("django_db"):
        yield
        return
    request.getfixturevalue("db")
    yield
    if not connection.needs_rollback:
        assert RECORD.is_whole(connection), "a setting changed past the record"


@pytest.fixture
def standard_prices(db: None) -> None:
    """The price list that the migrations give; a test with real transactions before may have flushed it."""
    from shops.models import PriceList

    if not PriceList.objects.filter(is_default=True).exists():
        import_module("shops.migrations.0005_billing").add_default_prices(apps, None)


@pytest.fixture
def client_for() -> Callable[[User], Client]:
    """A function that returns a browser-like client logged in as the user.

    `fresh=True` adds the proof of identity that pages ask for before they change accounts or keys.
    """

    def log_in(user: User, *, fresh: bool = False, **options: Any) -> Client:
        client = Client(**options)
        client.force_login(user)
        if fresh:
            request = HttpRequest()
            request.session = client.session
            record_authentication(request, user, "password", reauthenticated=True)
            request.session.save()
        return client

    return log_in


@pytest.fixture
def smtp_server(settings: Any) -> Iterator[SmtpServer]:
    """A real SMTP server on a free port; the settings of the test point to it."""
    with SmtpServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield server


@pytest.fixture
def process_env(transactional_db: None) -> dict[str, str]:
    """The environment in which another process works on this test's database.

    Add to it what the process needs besides, EMAIL_URL for example.
    """
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        # Four slashes: an absolute path.
        url = "sqlite:///" + str(Path(database["NAME"]).resolve())
    else:
        host = database["HOST"] or "127.0.0.1"
        url = (
            f"postgres://{database['USER']}:{database['PASSWORD']}@{host}:{database['PORT'] or 5432}/{database['NAME']}"
        )
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "backoffice.settings",
        "DATABASE_URL": url,
        "PYTHONPATH": str(django_settings.BASE_DIR),
    }


@pytest.fixture
def start_process(process_env: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function that starts `python *arguments` on this test's database; ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**process_env, **environment},
            cwd=django_settings.BASE_DIR,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


# --- Browser ------------------------------------------------------------------------------------
# Playwright keeps an event loop running in its thread, so it lives no longer than a test module.


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    # TEST_BROWSER=chromium-headless-shell is the same engine without windows: less than half the work for a page.
    name = os.environ.get("TEST_BROWSER", "chromium")
    executable = shutil.which(name)
    if executable is None:
        _absent(f"{name} is not installed (apt-get install {name})")
    from playwright.sync_api import sync_playwright

    from tests import browsing

    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    # The loop of Playwright makes the ORM believe it is called from asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            browsing.install()
            chromium = playwright.chromium.launch(
                executable_path=executable, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            )
            yield chromium
            chromium.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def browser_context(browser: Any, live_server: Any) -> Iterator[Any]:
    """A fresh visit of the site: French, 1280 px wide; relative addresses work in `goto`."""
    context = browser.new_context(
        base_url=live_server.url, viewport={"width": 1280, "height": 900}, locale="fr-FR", timezone_id="Europe/Paris"
    )
    yield context
    context.close()


@pytest.fixture
def page(browser_context: Any) -> Any:
    return browser_context.new_page()


@pytest.fixture
def log_in_browser(
    browser_context: Any, client_for: Callable[[User], Client], live_server: Any
) -> Callable[[User], None]:
    """A function that logs the browser in as the user, without passing by the log-in page."""

    def log_in(user: User) -> None:
        session = client_for(user).cookies[django_settings.SESSION_COOKIE_NAME].value
        browser_context.add_cookies(
            [{"name": django_settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
        )

    return log_in
