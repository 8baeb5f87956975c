"""Key rotation: two keys at once, a run killed half-way, and nothing lost."""

import base64
import signal
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import CommandError, call_command
from django.test import Client

from backoffice.base import crypto
from backoffice.site import reencrypt
from companies.models import SftpAccount
from tests.factories import CompanyFactory, ShopFactory, ShopKeyFactory, UserFactory
from tests.waiting import PATIENCE

OLD, NEW = b"o" * 32, b"n" * 32


def run() -> str:
    out = StringIO()
    call_command("reencrypt_secrets", stdout=out, stderr=StringIO())
    return out.getvalue().strip()


@pytest.mark.django_db
def test_every_kind_of_secret_moves_to_the_first_key(settings: Any, client_for: Callable[..., Client]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = {"old": OLD}
    key = ShopKeyFactory(shop=ShopFactory(), value="cle-secrete")
    account = SftpAccount.objects.create(company=CompanyFactory(), login="s", email="s@x.example")
    account.unrevealed_password = "sftp-secret"
    account.save()
    user = UserFactory()
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    codes = RecoveryCodes.activate(user).get_unused_codes()
    client = client_for(user)

    settings.FIELD_ENCRYPTION_KEYS = {"new": NEW, "old": OLD}
    assert run() == "key=new rewritten=5 current=5 unreadable=0"
    assert run() == "key=new rewritten=0 current=5 unreadable=0"

    settings.FIELD_ENCRYPTION_KEYS = {"new": NEW}
    key.refresh_from_db()
    account.refresh_from_db()
    assert key.value == "cle-secrete" and account.unrevealed_password == "sftp-secret"
    from allauth.mfa.models import Authenticator

    totp = Authenticator.objects.get(user=user, type="totp").wrap()
    assert isinstance(totp, TOTP)
    from allauth.mfa.utils import decrypt

    assert decrypt(totp.instance.data["secret"]) == secret
    recovery = Authenticator.objects.get(user=user, type="recovery_codes").wrap()
    assert recovery.get_unused_codes() == codes
    assert client.get("/account/").status_code == 200


@pytest.mark.django_db
def test_what_no_key_opens_is_named_and_left_alone(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = {"lost": b"l" * 32}
    key = ShopKeyFactory(shop=ShopFactory(), value="perdue")
    settings.FIELD_ENCRYPTION_KEYS = {"new": NEW}
    errors = StringIO()
    with pytest.raises(CommandError):
        call_command("reencrypt_secrets", stdout=StringIO(), stderr=errors)
    assert f"no key opens shops_shopkey:{key.pk}" in errors.getvalue()
    settings.FIELD_ENCRYPTION_KEYS = {"new": NEW, "lost": b"l" * 32}
    assert run() == "key=new rewritten=1 current=1 unreadable=0"


@pytest.mark.django_db
def test_a_secret_written_meanwhile_is_not_overwritten(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FIELD_ENCRYPTION_KEYS = {"old": OLD}
    key = ShopKeyFactory(shop=ShopFactory(), value="avant")
    settings.FIELD_ENCRYPTION_KEYS = {"new": NEW, "old": OLD}
    again = reencrypt._again

    def while_somebody_saves(stored: str, context: str) -> str:
        other = type(key).objects.get(pk=key.pk)
        other.value = "entre-temps"
        other.save()
        return again(stored, context)

    monkeypatch.setattr(reencrypt, "_again", while_somebody_saves)
    reencrypt.reencrypt()
    assert type(key).objects.get(pk=key.pk).value == "entre-temps"


KILLED_ON_THE_WAY = """
import os, signal, django
django.setup()
from django.core.management import call_command
from backoffice.site import reencrypt
again, seen = reencrypt._again, []
def until_killed(stored, context):
    seen.append(stored)
    if len(seen) == 450:
        os.kill(os.getpid(), signal.SIGKILL)
    return again(stored, context)
reencrypt._again = until_killed
call_command("reencrypt_secrets")
"""


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_killed_is_run_again_and_loses_nothing(settings: Any, start_process: Callable[..., Any]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = {"old": OLD}
    company = CompanyFactory()
    accounts = [
        SftpAccount(company=company, login=f"s{n}", email="s@x.example", unrevealed_password=f"secret-{n}")
        for n in range(3000)
    ]
    SftpAccount.objects.bulk_create(accounts)
    keys = ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in (("new", NEW), ("old", OLD)))
    process = start_process("-c", KILLED_ON_THE_WAY, FIELD_ENCRYPTION_KEYS=keys)
    assert process.wait(timeout=PATIENCE) == -signal.SIGKILL, process.communicate()[0]

    settings.FIELD_ENCRYPTION_KEYS = {"new": NEW, "old": OLD}
    stored = [account.__dict__["unrevealed_password"].text for account in SftpAccount.objects.all()]
    moved = sum(text.startswith("new:") for text in stored)
    assert moved == 449
    assert {account.unrevealed_password for account in SftpAccount.objects.all()} == {
        f"secret-{n}" for n in range(3000)
    }

    assert run() == f"key=new rewritten={3000 - moved} current=3000 unreadable=0"
    settings.FIELD_ENCRYPTION_KEYS = {"new": NEW}
    assert {account.unrevealed_password for account in SftpAccount.objects.all()} == {
        f"secret-{n}" for n in range(3000)
    }


def test_every_encrypted_field_is_found() -> None:
    found = {f"{model._meta.label}.{one.name}" for model, one in reencrypt.encrypted_fields()}
    assert {"shops.ShopKey.value", "companies.SftpAccount.unrevealed_password"} <= found
    assert crypto.EncryptedTextField is not None
