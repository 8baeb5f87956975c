"""A company's own mail server in a document: tried and guarded as on the page, kept without a password in any file."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from backoffice.provisioning import exporting
from backoffice.provisioning.applying import provision
from backoffice.provisioning.planning import plan
from backoffice.provisioning.work import ProvisioningError
from companies.models import AuditEntry, Company
from notifications.models import CompanyRelay
from notifications.outbox import relays
from tests.backoffice.provisioning.test_provision import EXAMPLE
from tests.odd_smtp import OddServer, odd_server
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "s3cret-of-the-server"


@pytest.fixture(autouse=True)
def private_networks(settings: Any) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = True


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as found:
        yield found


def named(port: int, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "security": "none", "sender": "no-reply@lumiere.example", **more}


def document(mail_server: Any = ..., **more: Any) -> dict[str, Any]:
    company = {**copy.deepcopy(EXAMPLE)["companies"][0], **more}
    if mail_server is not ...:
        company["mail_server"] = mail_server
    return {"companies": [company]}


def change(mail_server: Any) -> dict[str, Any]:
    return {"companies": [{"reference": "maison-lumiere", "mail_server": mail_server}]}


def stored() -> CompanyRelay | None:
    return CompanyRelay.objects.first()


def test_it_is_kept_changed_and_removed_and_the_history_says_so(server: SmtpServer) -> None:
    provision(document(named(server.port)))
    relay = stored()
    assert relay and (relay.host, relay.port, relay.falls_back) == ("127.0.0.1", server.port, True)
    assert provision(change(named(server.port))).updated == 0, "the same again writes nothing"
    assert provision(change({"falls_back": False})).updated == 1, "absent keys stay"
    relay = stored()
    assert relay and not relay.falls_back and relay.sender == "no-reply@lumiere.example"
    assert provision({"companies": [{"reference": "maison-lumiere"}]}).updated == 0 and stored()
    assert provision(change(None)).updated == 1 and stored() is None
    actions = list(
        AuditEntry.objects.filter(action__startswith="relay.").order_by("pk").values_list("action", flat=True)
    )
    assert actions == ["relay.saved", "relay.saved", "relay.removed"]
    assert server.received == [], "a trial sends nothing"


def test_no_transaction_is_open_while_the_server_is_asked(server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = relays.try_out, []

    def watched(*args: Any) -> None:
        seen.append(connection.in_atomic_block)
        real(*args)

    monkeypatch.setattr(relays, "try_out", watched)
    plan(document(named(server.port)))
    provision(document(named(server.port)))
    provision(document(named(server.port)))
    assert seen == [False, False], "what is as stored is not called"


def test_a_server_that_refuses_refuses_the_whole_file_by_its_path(settings: Any) -> None:
    with odd_server(settings) as odd:
        odd.replies["MAIL"] = "550 5.7.1 not you"
        for act in (provision, plan):
            with pytest.raises(ProvisioningError) as refused:
                act(document(named(odd.port)))
            (error,) = refused.value.errors
            assert error.startswith("companies[0].mail_server.sender: ") and "550 5.7.1 not you" in error
    assert not Company.objects.exists()


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"host": "localhost"}, "host"),
        ({"host": "smtp.x.example", "port": 8080}, "port"),
        ({"host": "smtp.x.example", "port": 0}, "port"),
        ({"host": "smtp.x.example", "port": "587"}, "port"),
        ({"host": "smtp.x.example", "security": "ssl"}, "security"),
        ({"host": "smtp.x.example", "sender": "nobody"}, "sender"),
        ({"host": "smtp.x.example", "security": "none", "username": "u", "password": PASSWORD}, "security"),
        ({"host": "smtp.x.example", "password": PASSWORD}, "password"),
        ({"host": "smtp.x.example", "password": 7}, "password"),
        ({"host": "smtp.x.example", "colour": "red"}, "colour"),
        ({}, "host"),
        ("smtp.x.example", ""),
        ([], ""),
    ],
)
def test_what_the_page_refuses_the_document_refuses(settings: Any, given: Any, path: str) -> None:
    """Nothing is called for it, and no secret is repeated."""
    settings.IPN_ALLOW_PRIVATE_NETWORKS = False
    provision(document())
    with pytest.raises(ProvisioningError) as refused:
        provision(change(given))
    (error,) = refused.value.errors
    assert error.startswith(f"companies[0].mail_server{'.' + path if path else ''}: ")
    assert PASSWORD not in error and stored() is None


def test_a_private_address_is_not_called(settings: Any, server: SmtpServer) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = False
    provision(document())
    with pytest.raises(ProvisioningError, match="mail_server"):
        provision(change(named(server.port)))
    assert server.connections == 0


def with_password(odd: OddServer) -> None:
    """A stored server with a password, past the dialogue."""
    company = Company.objects.get()
    CompanyRelay.objects.create(
        company=company,
        host="127.0.0.1",
        port=odd.port,
        security="none",
        username="lumiere",
        password=PASSWORD,
        changed_by="x",
    )


def test_a_document_without_password_keeps_the_stored_one_and_no_export_has_it(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    provision(document())
    with odd_server(settings) as odd:
        with_password(odd)
        for options in ([], ["--with-secrets"]):
            capsys.readouterr()
            call_command("export", "maison-lumiere", *options)
            text = capsys.readouterr().out
            exported = json.loads(text)
            assert PASSWORD not in text and "password" not in exported["companies"][0]["mail_server"]
            assert exported["companies"][0]["mail_server"]["username"] == "lumiere"
            report = provision(exported)
            assert (report.created, report.updated) == (0, 0)
            relay = stored()
            assert relay and relay.password == PASSWORD
        exported["companies"][0]["mail_server"]["host"] = "smtp.elsewhere.example"
        with pytest.raises(ProvisioningError, match=r"mail_server\.password"):
            provision(exported)


def test_an_export_makes_the_company_elsewhere_and_says_that_its_server_is_left_out(
    settings: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = document(named(2525, username="lumiere"))
    path = tmp_path / "company.json"
    path.write_text(json.dumps(mine))
    for options in (["--plan"], []):
        call_command("provision", str(path), *options)
        told = capsys.readouterr()
        assert "companies[0].mail_server: " in told.err and "mot de passe" in told.err
        assert told.out.splitlines()[-1].startswith("companies=1 ")
    assert Company.objects.exists() and stored() is None
    with pytest.raises(CommandError, match=r"mail_server\.password"):
        call_command("provision", str(path))


def test_a_plan_tells_the_change_and_no_secret(server: SmtpServer) -> None:
    provision(document(named(server.port)))
    told = plan(change({"falls_back": False}))
    (company,) = told.document.companies
    assert [(one.object, one.field, one.before, one.after) for one in company.changes] == [
        ("mail_server", "falls_back", True, False)
    ]
    assert told.report.updated == 1
    removal = plan(change(None)).document.companies[0]
    assert [one.object for one in removal.changes] == ["mail_server"]
    relay = stored()
    assert relay and relay.falls_back


def test_whoever_saved_another_one_meanwhile_is_not_overwritten(
    server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    provision(document(named(server.port)))

    def somebody_else(*_args: Any) -> None:
        relay = CompanyRelay.objects.get()
        relay.sender, relay.changed_at = "other@lumiere.example", relay.changed_at.replace(year=2030)
        relay.save()

    monkeypatch.setattr(relays, "try_out", somebody_else)
    with pytest.raises(ProvisioningError, match="entre-temps"):
        provision(change({"falls_back": False}))
    relay = stored()
    assert relay and relay.sender == "other@lumiere.example" and relay.falls_back


def test_the_version_of_the_settings_follows_it(server: SmtpServer) -> None:
    provision(document())
    company = Company.objects.get()
    before = exporting.etag(exporting.export(company))
    provision(change(named(server.port)))
    assert exporting.etag(exporting.export(company)) != before
