"""Letters: written, looked at, tried, asked about, sent to each address once, stopped."""

import re
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from companies.audit import Actor
from companies.models import AuditEntry, Company, Contact, User
from notifications import settings_facts
from notifications.broadcasts import broadcasting as broadcasts
from notifications.broadcasts import newsletters
from notifications.journal import selectors as journal_selectors
from notifications.models import Broadcast, Delivery, Event, Message, Newsletter
from notifications.outbox import services as delivery_services
from notifications.outbox.mail_worker import WINDOW
from notifications.tables import compute
from notifications.worker import loop
from tests.conftest import IN_CI
from tests.factories import CompanyFactory, DeliveryFactory, StaffFactory, UserFactory
from tests.smtp import SmtpServer
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = Actor("Équipe")
LETTER = {
    "title_fr": "Nouveautés d'été",
    "text_fr": "Bonjour,\n\n## Paiements\n\n- **Apple Pay** arrive\n- voir [la page](https://example.org/fr)",
    "title_en": "Summer news",
    "text_en": "Hello,\n\n## Payments\n\n- **Apple Pay** is here\n- see [the page](https://example.org/en)",
}


def letter(**fields: Any) -> Newsletter:
    return newsletters.newsletter_create(actor=ACTOR, **{**LETTER, **fields})


def companies(*specs: dict[str, Any]) -> list[Company]:
    """One company per spec, `email` being its Contact gestionnaire's."""
    return [
        CompanyFactory(**{("manager__email" if name == "email" else name): value for name, value in spec.items()})
        for spec in specs
    ]


def unsubscribe_url(server: SmtpServer) -> str:
    """The header of the first mail without its brackets; a long one is folded behind its name."""
    return str(server.received[0].message["List-Unsubscribe"]).strip().strip("<>")


def make_many(count: int) -> None:
    """`count` companies with a Contact gestionnaire each, in two statements."""
    made = Company.objects.bulk_create(
        [
            Company(reference=f"m-{n:05d}", name=f"Marchand {n}", language="en" if n % 3 == 0 else "fr")
            for n in range(count)
        ]
    )
    Contact.objects.bulk_create(
        [Contact(company=company, kind="manager", email=f"m{n:05d}@marchand.example") for n, company in enumerate(made)]
    )


def newsletter_lines(found: list[Company]) -> set[str]:
    """The addresses that the delivery tables promise the letter to."""
    tables = [compute.delivery_tables(settings_facts.company_facts(company)) for company in found]
    return {
        table.normalised
        for item in tables
        for table in item.addresses
        for line in table.receives
        if line.notification == "newsletter"
    }


def test_a_letter_reaches_exactly_the_addresses_that_the_tables_promised(smtp_server: SmtpServer) -> None:
    found = companies(
        {"email": "Claire@Lumiere.example"},
        {"email": "claire@lumiere.example"},
        {"email": "nora@boreal.example", "language": "en"},
        {"email": "contact@Bücher.example"},
        {"email": "out@x.example", "newsletter_opt_out": True},
        {"email": "closed@x.example", "status": "closed"},
        {"manager": None},
    )
    promised = newsletter_lines(found)
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    tally = loop.deliver_until_idle()
    assert (tally.sent, tally.retry, tally.dead) == (3, 0, 0)
    arrived = [mail.rcpt_tos for mail in smtp_server.received]
    assert sorted(arrived) == [
        ("Claire@lumiere.example",),
        ("contact@xn--bcher-kva.example",),
        ("nora@boreal.example",),
    ]
    assert promised == {address.lower() for (address,) in arrived}


def test_each_mail_names_its_own_recipient_alone_in_the_companys_language(smtp_server: SmtpServer) -> None:
    companies({"email": "a@x.example"}, {"email": "b@y.example", "language": "en"})
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    loop.deliver_until_idle()
    (french,), (english,) = smtp_server.to("a@x.example"), smtp_server.to("b@y.example")
    assert french.message["To"] == "a@x.example" and french.message["Cc"] is None
    assert english.message["To"] == "b@y.example" and english.message["Cc"] is None
    assert french.message["Subject"] == "Nouveautés d'été" and english.message["Subject"] == "Summer news"
    assert "b@y.example" not in french.raw.decode() and "a@x.example" not in english.raw.decode()
    assert english.message["Content-Language"] == "en"
    assert "<li><strong>Apple Pay</strong> is here</li>" in english.html
    assert '<a href="https://example.org/en">the page</a>' in english.html
    assert "- see the page <https://example.org/en>" in english.text
    assert Message.objects.filter(broadcast__isnull=False).count() == 2, "one per language, not one per company"


def test_a_letter_says_that_it_is_one_to_mailboxes_and_answering_machines(smtp_server: SmtpServer) -> None:
    companies({"email": "a@x.example"})
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    loop.deliver_until_idle()
    headers = smtp_server.received[0].message
    assert headers["From"] == "Back Office Marchand <ne-pas-repondre@backoffice.example>"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["Precedence"] == "bulk"
    assert headers["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert headers["List-Id"] == "<newsletter.localhost>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(r"<http://localhost:8000/newsletter/unsubscribe/[^/>]+/>", headers["List-Unsubscribe"].strip())
    assert unsubscribe_url(smtp_server) in smtp_server.received[0].text, "the foot has the same link"


def test_other_mail_carries_no_header_of_a_list(smtp_server: SmtpServer) -> None:
    DeliveryFactory(address="a@x.example")
    loop.deliver_until_idle()
    headers = smtp_server.received[0].message
    assert headers["Precedence"] is None and headers["List-Unsubscribe"] is None and headers["List-Id"] is None


def test_the_journal_of_every_company_that_shares_an_address_shows_what_came_of_the_one_message(
    smtp_server: SmtpServer,
) -> None:
    first, second = companies({"email": "claire@x.example"}, {"email": "CLAIRE@x.example"})
    smtp_server.answer("claire@x.example", "451 4.7.1 later")
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    loop.deliver_until_idle()
    rows = {company.pk: journal_selectors.deliveries(company).get() for company in (first, second)}
    carrier, carried = rows[first.pk], rows[second.pk]
    assert carried.carried_by_id == carrier.pk
    assert carrier.status == carried.status == "retry"
    assert carried.retry_at == carrier.retry_at and carried.error == carrier.error and carried.attempt_count == 1
    smtp_server.behave()
    loop.deliver_until_idle(lambda: carrier.retry_at)
    carrier.refresh_from_db()
    carried.refresh_from_db()
    assert carrier.status == carried.status == "sent" and carried.sent_at == carrier.sent_at
    assert len(smtp_server.received) == 1
    assert carried.event.company_id == second.pk and carried.address == "CLAIRE@x.example"


def test_an_address_met_again_after_its_mail_left_is_recorded_as_sent(smtp_server: SmtpServer) -> None:
    first, second = companies({"email": "claire@x.example"}, {"email": "claire@x.example"})
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    broadcast = Broadcast.objects.get()
    assert broadcasts.advance(broadcast.pk, step=1)
    send = Delivery.objects.get()
    Delivery.objects.update(status="sent", sent_at=send.created_at, attempt_count=1)
    broadcasts.advance(broadcast.pk, step=1)
    row = journal_selectors.deliveries(second).get()
    assert (row.status, row.sent_at, row.attempt_count) == ("sent", send.created_at, 1)
    loop.deliver_until_idle()
    assert smtp_server.received == []


def test_the_page_of_a_carried_delivery_shows_the_attempts_of_the_message(
    smtp_server: SmtpServer, client_for: Callable[[User], Client]
) -> None:
    _first, second = companies({"email": "claire@x.example"}, {"email": "claire@x.example"})
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    loop.deliver_until_idle()
    row = journal_selectors.deliveries(second).get()
    page = client_for(UserFactory(company=second)).get(f"/notifications/journal/{row.pk}/").content.decode()
    assert "commun aux sociétés qui l'ont indiquée" in page.replace("&#x27;", "'")
    assert smtp_server.received[0].message["Message-ID"].strip("<>") in page
    assert "250" in page
    assert "/newsletter/unsubscribe/" not in page, "who reads the journal is not who may unsubscribe"


def test_a_single_delivery_of_a_letter_cannot_be_cancelled_but_resent(smtp_server: SmtpServer) -> None:
    first, second = companies({"email": "claire@x.example"}, {"email": "claire@x.example"})
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    broadcasts.advance(Broadcast.objects.get().pk)
    for company in (first, second):
        assert not delivery_services.delivery_cancel(delivery=journal_selectors.deliveries(company).get(), actor=ACTOR)
    loop.deliver_until_idle()
    copy = delivery_services.delivery_resend(delivery=journal_selectors.deliveries(second).get(), actor=ACTOR)
    loop.deliver_until_idle()
    assert [mail.rcpt_tos[0] for mail in smtp_server.received] == ["claire@x.example"] * 2
    copy.refresh_from_db()
    assert copy.status == "sent"
    assert broadcasts.progress(Broadcast.objects.get()).sent == 1, "a resend is not part of the count"


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        ({}, {"a", "b", "c", "d"}),
        ({"countries": ["BE"]}, {"b"}),
        ({"languages": ["en"]}, {"b", "c"}),
        ({"references": ["a", "c"]}, {"a", "c"}),
        ({"countries": ["FR"], "languages": ["en"]}, {"c"}),
        ({"statuses": ["suspended"]}, set()),
        ({"statuses": ["active"]}, {"a", "b", "c", "d"}),
    ],
)
def test_a_filter_keeps_the_companies_it_names(audience: dict[str, list[str]], expected: set[str]) -> None:
    for reference, country, language in (("a", "FR", "fr"), ("b", "BE", "en"), ("c", "FR", "en"), ("d", "CA", "fr")):
        CompanyFactory(reference=reference, country=country, language=language, manager__email=f"{reference}@x.example")
    CompanyFactory(reference="e", status="suspended", manager__email="e@x.example")
    found = newsletters.newsletter_reach(letter(audience=audience))
    assert {address.partition("@")[0] for address in found.addresses} == expected


@pytest.mark.parametrize("audience", [{"references": ["nowhere"]}, {"languages": ["de"]}, {"moons": ["x"]}])
def test_a_filter_that_names_nothing_known_is_refused_by_its_value(audience: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError) as refused:
        letter(audience=audience)
    value = next(iter(audience.values()))[0]
    assert (value if value != "x" else "moons") in str(refused.value)
    assert not Newsletter.objects.exists()


def test_a_letter_leaves_once_and_does_not_change_afterwards() -> None:
    CompanyFactory()
    written = letter()
    newsletters.newsletter_send(newsletter=written, actor=ACTOR)
    with pytest.raises(ValidationError):
        newsletters.newsletter_send(newsletter=written, actor=ACTOR)
    with pytest.raises(ValidationError):
        newsletters.newsletter_update(newsletter=written, actor=ACTOR, title_fr="Autre")
    assert Newsletter.objects.get().title_fr == LETTER["title_fr"]
    assert Broadcast.objects.count() == 1


def test_a_letter_to_nobody_is_refused() -> None:
    CompanyFactory(newsletter_opt_out=True)
    with pytest.raises(ValidationError):
        newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    assert not Broadcast.objects.exists()


def test_an_opt_out_while_a_letter_is_on_its_way_is_honoured(smtp_server: SmtpServer) -> None:
    first, second = companies({"email": "a@x.example"}, {"email": "b@x.example"})
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    broadcasts.advance(Broadcast.objects.get().pk, step=1)
    Company.objects.filter(pk=second.pk).update(newsletter_opt_out=True)
    loop.deliver_until_idle()
    assert [mail.rcpt_tos for mail in smtp_server.received] == [("a@x.example",)]


def test_a_pause_holds_the_rest_back_and_going_on_sends_it(smtp_server: SmtpServer) -> None:
    companies(*({"email": f"m{n}@x.example"} for n in range(5)))
    written = letter()
    newsletters.newsletter_send(newsletter=written, actor=ACTOR)
    broadcasts.advance(Broadcast.objects.get().pk, step=2)
    assert newsletters.newsletter_pause(newsletter=Newsletter.objects.get(), actor=ACTOR)
    loop.deliver_until_idle()
    assert len(smtp_server.received) == 2, "what was queued already still goes"
    assert not newsletters.newsletter_pause(newsletter=Newsletter.objects.get(), actor=ACTOR)
    assert newsletters.newsletter_resume(newsletter=Newsletter.objects.get(), actor=ACTOR)
    loop.deliver_until_idle()
    assert sorted(mail.rcpt_tos[0] for mail in smtp_server.received) == [f"m{n}@x.example" for n in range(5)]
    assert [entry.action for entry in AuditEntry.objects.filter(object_type="newsletter").order_by("pk")] == [
        "newsletter.created", "newsletter.sent", "newsletter.paused", "newsletter.resumed"
    ]  # fmt: skip


def test_stopping_a_letter_withdraws_what_waits_for_every_company(smtp_server: SmtpServer) -> None:
    companies({"email": "a@x.example"}, {"email": "a@x.example"}, {"email": "b@x.example"}, {"email": "c@x.example"})
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    broadcasts.advance(Broadcast.objects.get().pk, step=3)
    assert newsletters.newsletter_cancel(newsletter=Newsletter.objects.get(), actor=ACTOR)
    loop.deliver_until_idle()
    assert smtp_server.received == []
    assert Counter(Delivery.objects.values_list("status", flat=True)) == {"cancelled": 3}
    assert broadcasts.progress(Broadcast.objects.get()).cancelled == 2
    assert not newsletters.newsletter_cancel(newsletter=Newsletter.objects.get(), actor=ACTOR)


def test_a_payments_mail_does_not_wait_behind_a_letter(smtp_server: SmtpServer) -> None:
    companies(*({"email": f"m{n}@x.example"} for n in range(3)))
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    DeliveryFactory(address="payment@x.example")
    loop.deliver_until_idle()
    assert smtp_server.received[0].rcpt_tos == ("payment@x.example",)
    assert len(smtp_server.received) == 1 + Company.objects.count()


def test_a_defect_in_a_letter_pauses_it_and_leaves_all_other_mail_alone(
    smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    CompanyFactory(manager__email="a@x.example")
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    with monkeypatch.context() as patched:
        patched.setattr(broadcasts, "compose", lambda *arguments: 1 / 0)
        DeliveryFactory(address="payment@x.example", event__shop__company__manager=None)
        loop.deliver_until_idle()
    assert [mail.rcpt_tos for mail in smtp_server.received] == [("payment@x.example",)]
    assert Broadcast.objects.get().status == "paused" and not Event.objects.filter(type="newsletter.published").exists()
    newsletters.newsletter_resume(newsletter=Newsletter.objects.get(), actor=ACTOR)
    loop.deliver_until_idle()
    assert [mail.rcpt_tos for mail in smtp_server.to("a@x.example")] == [("a@x.example",)]


def test_a_step_costs_a_constant_number_of_queries() -> None:
    counts = []
    for size in (20, 200):
        Delivery.objects.filter(carried_by__isnull=False).delete()
        make_many_at = Company.objects.count()
        made = Company.objects.bulk_create([Company(reference=f"q-{size}-{n}", name="x") for n in range(size)])
        Contact.objects.bulk_create(
            [
                Contact(company=item, kind="manager", email=f"q{make_many_at}-{n}@x.example")
                for n, item in enumerate(made)
            ]
        )
        written = letter(audience={"references": [item.reference for item in made]})
        newsletters.newsletter_send(newsletter=written, actor=ACTOR)
        with CaptureQueriesContext(
            connection,
        ) as seen:
            broadcasts.advance(Broadcast.objects.get(newsletter=written).pk)
        counts.append(len(seen))
    assert counts[0] <= 14
    assert counts[1] <= 24, "bulk inserts are split by the database's limit on parameters, nothing else grows"


# Sending ten thousand mails to a server written in Python takes minutes: in full once in CI, on production's database.
MANY = 10_000 if IN_CI and connection.vendor == "postgresql" else 1_500


@pytest.mark.slow
def test_each_of_many_addresses_is_mailed_once_although_the_worker_is_killed_on_the_way(
    smtp_server: SmtpServer, start_process: Callable[..., Any]
) -> None:
    make_many(MANY)
    with CaptureQueriesContext(connection) as asked:
        newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    assert len(asked) < MANY // 2, "who is reached is counted together, not one by one"
    environment = {"EMAIL_URL": f"smtp://127.0.0.1:{smtp_server.port}", "DEBUG": "false"}

    def arrived() -> int:
        return len(smtp_server.received)

    for enough in (MANY // 7, MANY // 2):
        smtp_server.takes = enough  # no more, so that the worker is not done, however late this process looks
        worker = start_process("manage.py", "deliver", "--watch", **environment)
        assert wait_until(lambda enough=enough: arrived() >= enough, 900), "the worker sends"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        seen = broadcasts.progress(Broadcast.objects.get())
        assert 0 < seen.percent < 100 and seen.total == MANY
    smtp_server.takes = None
    last = start_process("manage.py", "deliver", "--once", **environment)
    output, _none = last.communicate(timeout=1500)
    assert last.returncode == 0, output
    seen = broadcasts.progress(Broadcast.objects.get())
    assert (seen.sent, seen.waiting, seen.failed, seen.is_over) == (MANY, 0, 0, True)
    times = Counter(mail.rcpt_tos[0] for mail in smtp_server.received)
    assert set(times) == {f"m{n:05d}@marchand.example" for n in range(MANY)}
    # A kill between the server's answers and their record repeats what was out, recognisably.
    repeated = [address for address, count in times.items() if count > 1]
    assert len(repeated) <= 2 * WINDOW
    for address in repeated:
        assert len({mail.message["Message-ID"] for mail in smtp_server.to(address)}) == 1
    # An alert to the team is of no company: killed workers leave signs that may call for one.
    of_letters = Event.objects.exclude(company=None)
    assert of_letters.count() == MANY and Delivery.objects.exclude(company=None).count() == MANY


# --- Staff pages ----------------------------------------------------------------------------------


@pytest.fixture
def staff(client_for: Callable[[User], Client]) -> Client:
    return client_for(StaffFactory(email="equipe@backoffice.example"))


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:notifications_newsletter_{name}", args=args)


def test_staff_write_a_letter_look_at_it_and_nothing_has_left(staff: Client) -> None:
    CompanyFactory(reference="une", country="FR", manager__email="une@x.example")
    answer = staff.post(page("add"), {**LETTER, "countries": ["FR"], "references": "une"}, follow=True)
    written = Newsletter.objects.get()
    assert answer.redirect_chain == [(page("preview", written.pk), 302)]
    assert written.audience == {"countries": ["FR"], "references": ["une"]}
    body = answer.content.decode()
    assert "1 adresse" in body and "une@x.example" in body
    for language, title in (("fr", "Nouveautés d&#x27;été"), ("en", "Summer news")):
        mail = staff.get(page("mail", written.pk, language))
        assert title in mail.content.decode()
        assert (
            mail.headers["X-Frame-Options"] == "SAMEORIGIN"
            and "default-src 'none'" in mail.headers["Content-Security-Policy"]
        )
    assert not Delivery.objects.exists()


def test_a_bad_filter_comes_back_with_what_was_typed(staff: Client) -> None:
    answer = staff.post(page("add"), {**LETTER, "references": "inconnue"})
    assert answer.status_code == 200 and not Newsletter.objects.exists()
    body = answer.content.decode()
    assert "Société inconnue : inconnue" in body and "Summer news" in body


def test_staff_try_a_letter_on_themselves_in_both_languages(staff: Client, smtp_server: SmtpServer) -> None:
    CompanyFactory()
    written = letter()
    staff.post(page("try", written.pk))
    loop.deliver_until_idle()
    assert [mail.rcpt_tos for mail in smtp_server.received] == [("equipe@backoffice.example",)] * 2
    assert sorted(mail.message["Subject"] for mail in smtp_server.received) == [
        "[Essai] Nouveautés d'été", "[Essai] Summer news"
    ]  # fmt: skip
    assert {mail.message["X-BOM-Notification"] for mail in smtp_server.received} == {"address_check"}
    assert all(row.company is None and row.is_test for row in Delivery.objects.all()), "in no merchant's journal"
    for company in Company.objects.all():
        assert not journal_selectors.deliveries(company).exists()
    link = re.search(r"http://localhost:8000(/newsletter/unsubscribe/\S+)", smtp_server.received[0].text)
    assert link and staff.post(link[1]).status_code == 200
    assert not Company.objects.filter(newsletter_opt_out=True).exists(), "the link of a trial unsubscribes nobody"


def test_sending_asks_first_with_the_number_and_a_sample_and_again_when_more_would_be_reached(staff: Client) -> None:
    CompanyFactory(name="Première", manager__email="une@x.example")
    CompanyFactory(name="Partie", newsletter_opt_out=True)
    written = letter()
    question = staff.post(page("send", written.pk))
    body = question.content.decode()
    assert question.status_code == 200 and not Broadcast.objects.exists()
    assert "<strong>1 adresse</strong>" in body and "une@x.example" in body and "Première" in body
    assert "désabonnée" in body
    CompanyFactory(manager__email="deux@x.example")
    again = staff.post(page("send", written.pk), {"mass_mail_confirmed": "1"})
    assert "<strong>2 adresses</strong>" in again.content.decode() and not Broadcast.objects.exists()
    done = staff.post(page("send", written.pk), {"mass_mail_confirmed": "2"})
    assert done.headers["Location"] == page("progress", written.pk)
    assert Broadcast.objects.get().planned == 2


def test_progress_is_counted_live_and_stops_asking_when_over(staff: Client, smtp_server: SmtpServer) -> None:
    companies({"email": "a@x.example"}, {"email": "b@x.example"}, {"email": "c@x.example"})
    smtp_server.answer("c@x.example", "550 5.1.1 unknown")
    written = letter()
    newsletters.newsletter_send(newsletter=written, actor=ACTOR)
    begun = staff.get(page("progress", written.pk), headers={"HX-Request": "true"}).content.decode()
    assert "Messages envoyés : 0 sur 3" in begun and 'hx-trigger="every 2s"' in begun and "<html" not in begun
    loop.deliver_until_idle()
    over = staff.get(page("progress", written.pk)).content.decode()
    assert "Terminé" in over and "Messages envoyés : 2 sur 3" in over and "hx-trigger" not in over
    row = staff.get(
        f"/admin/notifications/delivery/?broadcast__id__exact={Broadcast.objects.get().pk}&status__exact=dead"
    )
    assert row.status_code == 200 and "c@x.example" in row.content.decode()


def test_a_letter_on_its_way_is_paused_resumed_and_stopped_by_buttons(staff: Client) -> None:
    companies({"email": "a@x.example"})
    written = letter()
    newsletters.newsletter_send(newsletter=written, actor=ACTOR)
    for verb, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert staff.get(page(verb, written.pk)).status_code == 405
        if verb == "cancel":
            asked = staff.post(page(verb, written.pk))
            assert asked.status_code == 200 and Broadcast.objects.get().status == "running", "stopping asks first"
        assert staff.post(page(verb, written.pk), {"confirmed": "1"}).status_code == 302
        assert Broadcast.objects.get().status == status


def test_who_may_write_letters_may_not_send_them_without_that_right(client_for: Callable[[User], Client]) -> None:
    author = StaffFactory(is_superuser=False)
    author.user_permissions.set(
        Permission.objects.filter(codename__in=["add_newsletter", "change_newsletter", "view_newsletter"])
    )
    client, written = client_for(author), letter()
    CompanyFactory()
    assert client.get(page("preview", written.pk)).status_code == 200
    assert "Envoyer la lettre" not in client.get(page("preview", written.pk)).content.decode()
    for verb in ("try", "send", "pause", "resume", "cancel"):
        assert client.post(page(verb, written.pk), {"mass_mail_confirmed": "9"}).status_code == 403
    assert not Broadcast.objects.exists() and not Delivery.objects.exists()


def test_a_letter_that_left_is_shown_and_refuses_changes(staff: Client) -> None:
    CompanyFactory()
    written = letter()
    newsletters.newsletter_send(newsletter=written, actor=ACTOR)
    shown = staff.get(page("change", written.pk))
    assert shown.status_code == 200 and "Summer news" in shown.content.decode()
    assert staff.post(page("change", written.pk), {**LETTER, "title_fr": "Autre"}).status_code == 403
    assert Newsletter.objects.get().title_fr == LETTER["title_fr"]


def test_the_list_of_letters_names_their_state(staff: Client) -> None:
    CompanyFactory()
    letter(title_fr="Brouillonne")
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    body = staff.get(page("changelist")).content.decode()
    assert "Brouillon" in body and "En cours" in body
