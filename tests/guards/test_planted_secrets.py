"""Twenty secrets are planted the way people and programs do it, and then looked for in all that leaves the process.

Two kinds of link must stand in one mail each, because that mail is what hands them over: these are looked
for in every other place, and counted in the mails.
"""

import base64
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from companies import links
from companies.audit import Actor
from companies.models import SftpAccount
from companies.team import services as team_services
from notifications.tokens import token_create
from notifications.worker import loop
from shops import services as shop_services
from shops.models import ShopKey
from tests.factories import CompanyFactory, ShopFactory, StaffFactory, UserFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
OPERATOR = Actor.command("test")
KINDS = (ShopKey.Kind.TEST, ShopKey.Kind.PRODUCTION, ShopKey.Kind.REST_TEST, ShopKey.Kind.REST_PRODUCTION)


@pytest.fixture
def written_logs() -> Iterator[StringIO]:
    """Everything that any logger says, in the form in which it is written in production."""
    stream = StringIO()
    made = dict(django_settings.LOGGING["formatters"]["json"])
    handler = logging.StreamHandler(stream)
    handler.setFormatter(made.pop("()")(**made))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel("DEBUG")
    logging.getLogger("factory").setLevel("WARNING")
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def dump() -> bytes:
    """What a backup of the database holds."""
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        plain: bytes = connection.connection.serialize()
        return plain
    found = connection.settings_dict
    if shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed")
    return subprocess.run(
        [
            "pg_dump",
            "-h",
            found["HOST"] or "127.0.0.1",
            "-p",
            str(found["PORT"] or 5432),
            "-U",
            found["USER"],
            found["NAME"],
        ],
        env={**os.environ, "PGPASSWORD": found["PASSWORD"] or ""},
        check=True,
        capture_output=True,
    ).stdout


def forms(secret: str) -> list[bytes]:
    """A secret as it is, and as somebody might think it hidden."""
    raw = secret.encode()
    # Base64 of a longer text holds other characters at both ends.
    return [raw, raw.hex().encode(), base64.b64encode(raw)[: len(raw) // 3 * 4], json.dumps(secret)[1:-1].encode()]


def found_in(secret: str, *haystacks: bytes) -> bool:
    return any(form in haystack for form in forms(secret) for haystack in haystacks)


def test_twenty_planted_secrets_are_found_nowhere(
    client_for: Callable[..., Client],
    smtp_server: SmtpServer,
    written_logs: StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets: dict[str, str] = {}
    company = CompanyFactory(reference="lumiere")
    shops = [ShopFactory(company=company), ShopFactory(company=company)]
    for number, shop in enumerate(shops):
        for kind in KINDS:
            prefix = {ShopKey.Kind.REST_TEST: "testpassword_", ShopKey.Kind.REST_PRODUCTION: "prodpassword_"}
            value = f"{prefix.get(kind, '')}Planted{number}{kind.replace('_', '')}9xQ"[:60]
            shop_services.key_save(shop=shop, kind=kind, value=value, actor=OPERATOR)
            secrets[f"key {kind} of shop {number}"] = value
    account = team_services.sftp_account_create(
        company=company, actor=OPERATOR, login="sftp-a", email="sftp@lumiere.example"
    )
    secrets["SFTP password"] = SftpAccount.objects.get(pk=account.pk).unrevealed_password
    user = team_services.user_create(company=company, actor=OPERATOR, login="claire", email="claire@lumiere.example")
    other = UserFactory(company=company, login="paul", password="Planted-phrase-de-paul-77")
    user.set_password("Planted-phrase-de-claire-88")
    user.save()
    secrets["password of claire"] = "Planted-phrase-de-claire-88"
    secrets["password of paul"] = "Planted-phrase-de-paul-77"
    secrets["TOTP secret"] = generate_totp_secret()
    TOTP.activate(other, secrets["TOTP secret"])
    for number, code in enumerate(RecoveryCodes.activate(other).get_unused_codes()[:4]):
        secrets[f"recovery code {number}"] = code
    secrets["API token of the platform"] = token_create(name="platform", company=None, actor=OPERATOR)[1]
    secrets["API token of the company"] = token_create(name="merchant", company=company, actor=OPERATOR)[1]
    client, staff = client_for(user), client_for(StaffFactory())
    secrets["session of claire"] = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    secrets["session of staff"] = staff.cookies[django_settings.SESSION_COOKIE_NAME].value
    secrets["log-in link"] = links.make_login_link(other).rstrip("/").rpartition("/")[2]
    assert len(secrets) >= 20 and len(set(secrets.values())) == len(secrets)

    # They are used, rightly and wrongly.
    team_services.password_reset_request(user=user)
    team_services.sftp_password_reset(account=account, actor=OPERATOR)
    secrets["new SFTP password"] = SftpAccount.objects.get(pk=account.pk).unrevealed_password
    loop.deliver_until_idle()
    Client().post("/accounts/login/", {"login": "claire", "password": secrets["password of claire"]})
    Client().post("/accounts/login/", {"login": "paul", "password": secrets["password of paul"] + "x"})
    Client().get("/api/v1/deliveries", headers={"Authorization": f"Bearer {secrets['API token of the company']}"})
    Client().get("/api/v1/deliveries", headers={"Authorization": f"Bearer {secrets['API token of the platform']}x"})
    Client().get(f"/accounts/login-link/{secrets['log-in link']}/")

    # Pages, admin and errors.
    pages = [
        client.get(path)
        for path in (
            "/",
            "/account/",
            "/settings/company/history/",
            "/settings/company/history/?format=csv",
            "/settings/company/sftp-accounts/",
            "/notifications/journal/",
            *(f"/settings/shops/{shop.site_id}/configuration/" for shop in shops),
            *(f"/settings/shops/{shop.site_id}/keys/" for shop in shops),
        )
    ]
    for model in apps.get_models():
        try:
            place = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            changes = [reverse(f"{place}_changelist")]
            keys = model._default_manager.values_list("pk", flat=True)[:30]
            changes += [reverse(f"{place}_change", args=[key]) for key in keys]
        except Exception:
            continue
        pages += [staff.get(path) for path in changes]
    pages.append(Client().get("/metrics"))
    assert len(pages) > 40

    def broken(*args: Any, **kwargs: Any) -> None:
        local = dict(kwargs, secret=secrets["key test of shop 0"])
        raise RuntimeError(f"broken with {len(local)}")

    monkeypatch.setattr("companies.accounts.auth.LoginBackend.authenticate", broken)
    failing = Client(raise_request_exception=False)
    error = failing.post("/accounts/login/", {"login": "claire", "password": "Planted-wrong-phrase-99"})
    assert error.status_code == 500
    secrets["a password typed where an error follows"] = "Planted-wrong-phrase-99"
    pages.append(error)

    bodies = [b"".join(page.streaming_content) if page.streaming else page.content for page in pages]
    backup = StringIO()
    call_command("dumpdata", stdout=backup, natural_foreign=False)
    mails = [mail.raw + (mail.text + mail.html).encode() for mail in smtp_server.received]
    assert len(mails) >= 4
    places = {
        "database": [dump()],
        "dumpdata": [backup.getvalue().encode()],
        "mails": mails,
        "logs": [written_logs.getvalue().encode()],
        "pages": bodies,
    }
    leaks = [
        (name, place) for name, secret in secrets.items() for place, held in places.items() if found_in(secret, *held)
    ]
    assert leaks == []

    # The links that a mail hands over stand in the mails to that address alone.
    said = " ".join(mail.text for mail in smtp_server.received)
    tokens = {
        word.rstrip("/").rpartition("/")[2]
        for word in said.split()
        if "/accounts/set-password/" in word or "/accounts/sftp-reveal/" in word
    }
    assert len(tokens) >= 2
    for token in tokens:
        to = {mail.rcpt_tos for mail in smtp_server.received if token.encode() in mail.raw or token in mail.text}
        assert len(to) == 1
        assert not found_in(token, *places["database"], *places["dumpdata"], *places["logs"], *bodies)


def test_a_dump_of_the_command_can_be_loaded_again(tmp_path: Any) -> None:
    shop = ShopFactory()
    shop_services.key_save(shop=shop, kind=ShopKey.Kind.TEST, value="Planted-roundtrip-1", actor=OPERATOR)
    file = tmp_path / "keys.json"
    call_command("dumpdata", "shops.ShopKey", output=str(file))
    assert "Planted-roundtrip-1" not in file.read_text()
    ShopKey.objects.all().delete()
    call_command("loaddata", str(file), verbosity=0)
    assert ShopKey.objects.get().value == "Planted-roundtrip-1"
