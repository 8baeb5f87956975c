"""`requeue` and `cancel`: counted first, in steps, and only what may be touched."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from companies.models import AuditEntry
from notifications.models import Delivery
from notifications.outbox import bulk
from tests.factories import CompanyFactory, DeliveryFactory

pytestmark = pytest.mark.django_db


def rows(count: int, company: Any = None, **values: Any) -> list[Delivery]:
    company = company or CompanyFactory()
    return [DeliveryFactory(event__company=company, company=company, shop=None, **values) for _n in range(count)]


def now_in(deliveries: list[Delivery], status: str) -> int:
    return Delivery.objects.filter(pk__in=[row.pk for row in deliveries], status=status).count()


def run(name: str, *arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    capsys.readouterr()
    call_command(name, *arguments)
    output = capsys.readouterr()
    return output.out, output.err


def test_the_dead_start_again_in_steps(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "STEP", 2)
    company = CompanyFactory()
    dead = rows(5, company, status="dead", error="554 our address is blocked", attempt_count=4)
    sent = rows(2, company, status="sent")
    plan, _err = run("requeue", "--status", "dead", "--plan", capsys=capsys)
    assert plan.splitlines() == ["meant dead=5 total=5"]
    assert now_in(dead, "dead") == 5
    out, err = run("requeue", "--status", "dead", "--reason", "blocked", capsys=capsys)
    assert out.splitlines() == ["meant dead=5 total=5", "requeue=5"]
    assert err.splitlines() == ["2/5", "4/5", "5/5"]
    assert now_in(dead, "queued") == 5 and now_in(sent, "sent") == 2
    assert set(Delivery.objects.filter(status="queued").values_list("attempt_count", "error")) == {(0, "")}
    entries = AuditEntry.objects.filter(company=company, action="sending.requeued")
    assert sum(entry.changes["deliveries"][1] for entry in entries) == 5


@pytest.mark.parametrize("what", ["company", "address", "since", "until", "reason"])
def test_each_filter_narrows_what_is_meant(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    company = CompanyFactory()
    early = timezone.now() - timedelta(days=2)
    (meant,) = rows(
        1,
        company,
        status="dead",
        address="Un@x.example",
        normalised_address="un@x.example",
        error="A",
        created_at=early,
    )
    late = timezone.now() if what == "until" else timezone.now() - timedelta(days=9)
    (other,) = rows(1, status="dead", normalised_address="b@x.example", error="B", created_at=late)
    value = {
        "company": company.reference,
        "address": "UN@X.example",
        "since": (early - timedelta(hours=1)).isoformat(),
        "until": (early + timedelta(hours=1)).isoformat(),
        "reason": "a",
    }[what]
    run("requeue", "--status", "dead", f"--{what}", value, capsys=capsys)
    assert (now_in([meant], "queued"), now_in([other], "dead")) == (1, 1)


def test_nothing_of_a_company_that_is_not_active_starts_again(capsys: pytest.CaptureFixture[str]) -> None:
    company = CompanyFactory(status="suspended")
    kept = rows(2, company, status="dead")
    account = rows(1, company, status="dead", notification="account_security")
    run("requeue", "--status", "dead", capsys=capsys)
    assert (now_in(kept, "dead"), now_in(account, "queued")) == (2, 1)


def test_what_waits_is_cancelled_and_what_is_in_hand_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    company = CompanyFactory(status="suspended")
    waiting = rows(3, company)
    retried = rows(2, company, status="retry", retry_at=timezone.now())
    in_hand = rows(1, company, status="sending")
    others = rows(1)
    arguments = ("--status", "queued", "--status", "retry", "--company", company.reference)
    out, _err = run("cancel", *arguments, capsys=capsys)
    assert out.splitlines() == ["meant queued=3 retry=2 total=5", "cancel=5"]
    assert now_in(waiting + retried, "cancelled") == 5
    assert now_in(in_hand, "sending") == 1 and now_in(others, "queued") == 1
    assert run("cancel", *arguments, capsys=capsys)[0].splitlines() == ["meant total=0", "cancel=0"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--status", "sent"),
        (),
        ("--status", "dead", "--since", "yesterday"),
        ("--status", "dead", "--company", "unknown"),
        ("--status", "dead", "--since", "2026-01-02", "--until", "2026-01-01"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...]) -> None:
    (dead,) = rows(1, status="dead")
    with pytest.raises(CommandError):
        call_command("requeue", *arguments)
    assert now_in([dead], "dead") == 1
