"""Letters of companies that are suspended after they were queued: kept, told, resumed or cancelled, and in nobody's way."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from companies.audit import Actor
from companies.models import AuditEntry, Company, User
from companies.services import company_set_status
from notifications.broadcasts import broadcasting as broadcasts
from notifications.broadcasts import newsletters
from notifications.models import Broadcast, Delivery
from notifications.outbox import carrying
from notifications.outbox.transports.base import UNKNOWN_MARK
from notifications.worker import loop
from tests.factories import CompanyFactory, StaffFactory, UserFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
ACTOR = Actor("Équipe")
ADDRESS = "claire@x.example"


@pytest.fixture
def sharing() -> list[Company]:
    """Three companies that have one address, in the order in which a letter meets them."""
    return [CompanyFactory(reference=name, manager__email=ADDRESS) for name in ("a", "b", "c")]


@pytest.fixture
def letter(sharing: list[Company]) -> Broadcast:
    """On its way, and nothing of it sent."""
    written = newsletters.newsletter_create(
        actor=ACTOR, title_fr="Nouveautés", text_fr="Bonjour", title_en="News", text_en="Hello"
    )
    newsletters.newsletter_send(newsletter=written, actor=ACTOR)
    broadcast = Broadcast.objects.get()
    broadcasts.advance(broadcast.pk)
    return broadcast


def suspend(company: Company, state: str = "suspended") -> None:
    company_set_status(company=company, actor=ACTOR, state=state, reason="impayé", notify=False)


def row(company: Company) -> Delivery:
    return Delivery.objects.get(company=company, broadcast__isnull=False)


def states(sharing: list[Company]) -> list[str]:
    return [row(company).status for company in sharing]


@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_the_letter_goes_to_the_others_who_share_the_address_once(
    sharing: list[Company], letter: Broadcast, smtp_server: SmtpServer, state: str
) -> None:
    first, second, third = sharing
    suspend(first, state)
    loop.deliver_until_idle()
    assert smtp_server.received == [], "its row carries the mail"
    assert carrying.hand_over_kept() == 1
    assert [row(one).carried_by_id for one in sharing] == [row(second).pk, None, row(second).pk]
    assert carrying.hand_over_kept() == 0
    loop.deliver_until_idle()
    (mail,) = smtp_server.received
    assert mail.message["X-BOM-Delivery"] == str(row(second).pk)
    assert states(sharing) == ["sent"] * 3
    assert broadcasts.progress(letter).sent == broadcasts.progress(letter).total == 1


def test_a_company_that_the_letter_meets_later_shares_the_mail_all_the_same(
    sharing: list[Company], smtp_server: SmtpServer
) -> None:
    written = newsletters.newsletter_create(actor=ACTOR, title_fr="Neuf", text_fr="x", title_en="New", text_en="x")
    newsletters.newsletter_send(newsletter=written, actor=ACTOR)
    broadcast = Broadcast.objects.get()
    broadcasts.advance(broadcast.pk, step=1)
    suspend(sharing[0])
    assert carrying.hand_over_kept() == 0, "nobody else has it yet"
    broadcasts.advance(broadcast.pk, step=1)
    assert carrying.hand_over_kept() == 1
    broadcasts.advance(broadcast.pk, step=1)
    loop.deliver_until_idle()
    assert len(smtp_server.received) == 1 and states(sharing) == ["sent"] * 3


def test_while_all_of_them_are_suspended_it_waits_and_goes_out_with_the_first_that_is_active_again(
    sharing: list[Company], letter: Broadcast, smtp_server: SmtpServer, client_for: Callable[[User], Client]
) -> None:
    for company in sharing:
        suspend(company)
    assert carrying.hand_over_kept() == 0
    loop.deliver_until_idle()
    assert smtp_server.received == [] and states(sharing) == ["queued"] * 3
    for company in sharing:
        page = client_for(UserFactory(company=company)).get(f"/notifications/journal/{row(company).pk}/")
        assert "la société ou la boutique est suspendue ou fermée" in page.content.decode()
    company_set_status(company=sharing[1], actor=ACTOR, state="active", reason="réglé", notify=False)
    carrying.hand_over_kept()
    loop.deliver_until_idle()
    assert len(smtp_server.received) == 1 and states(sharing) == ["sent"] * 3


def test_cancelling_those_of_a_suspended_company_leaves_the_letter_to_the_others(
    sharing: list[Company], letter: Broadcast, smtp_server: SmtpServer, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("cancel", "--status", "queued", "--status", "retry", "--company", "a")
    call_command(*asked, "--plan")
    assert "total=0" in capsys.readouterr().out, "a letter to active companies is stopped as a whole"
    suspend(sharing[0])
    call_command(*asked, "--plan")
    assert capsys.readouterr().out.splitlines() == ["meant queued=1 total=1"]
    call_command(*asked)
    assert capsys.readouterr().out.splitlines()[-1] == "cancel=1"
    assert states(sharing) == ["cancelled", "queued", "queued"]
    assert AuditEntry.objects.filter(company=sharing[0], action="sending.cancelled").exists()
    loop.deliver_until_idle()
    assert len(smtp_server.received) == 1 and states(sharing) == ["cancelled", "sent", "sent"]


def test_what_may_have_arrived_is_not_sent_under_another_name(sharing: list[Company], letter: Broadcast) -> None:
    suspend(sharing[0])
    Delivery.objects.filter(pk=row(sharing[0]).pk).update(
        status="retry", error=f"{UNKNOWN_MARK} no answer", attempt_count=1
    )
    assert carrying.hand_over_kept() == 0


def test_a_worker_looks_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Any] = []
    monkeypatch.setattr(carrying, "hand_over_kept", lambda: looks.append(1))
    for _n in range(3):
        carrying.tick(None)  # type: ignore[arg-type]
    assert len(looks) == 1


def test_the_page_of_staff_names_what_is_kept(
    sharing: list[Company], letter: Broadcast, client_for: Callable[[User], Client]
) -> None:
    for company in sharing:
        suspend(company)
    page = client_for(StaffFactory(is_superuser=True)).get("/admin/sending/")
    assert page.status_code == 200
    assert "suspendue ou fermée" in page.content.decode()
