"""Fixtures of the whole suite."""

import os
import shutil
import socket
import subprocess
import sys
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

from companies.models import User
from tests.smtp import SmtpServer

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
SERVICES = {"rabbitmq": ("127.0.0.1", 5672), "redis": ("127.0.0.1", 6379)}


def _absent(reason: str) -> None:
    """A missing tool or service is a visible skip on a developer's machine, a failure in CI."""
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


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
def _fresh_cache() -> Iterator[None]:
    """Rate limits count per test."""
    yield
    cache.clear()


@pytest.fixture
def standard_prices(db: None) -> None:
    """The price list that the migrations give; a test with real transactions before may have flushed it."""
    from shops.billing.models import PriceList

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
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        # Four slashes: an absolute path.
        url = "sqlite:///" + str(Path(found["NAME"]).resolve())
    else:
        host = found["HOST"] or "127.0.0.1"
        url = f"postgres://{found['USER']}:{found['PASSWORD']}@{host}:{found['PORT'] or 5432}/{found['NAME']}"
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
    executable = shutil.which("chromium")
    if executable is None:
        _absent("chromium is not installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    # The loop of Playwright makes the ORM believe it is called from asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
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
    context.set_default_timeout(10_000)
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
