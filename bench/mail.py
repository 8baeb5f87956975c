"""Mails per second, from event to SMTP sink, against a plain smtplib loop and django-post-office.

All in one run, on the same machine, database and sink, with the same content. Ours and
post-office both store first and send afterwards; smtplib stores nothing, so it is the ceiling.
"""

import argparse
import cProfile
import pstats
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

from bench.environment import database, fresh_database, machine
from bench.results import report


def prepare() -> None:
    from companies.models import Company, Contact
    from notifications.models import NotificationRule
    from shops.models import Shop

    company = Company.objects.create(reference="bench", name="Bench")
    Contact.objects.create(company=company, kind=Contact.Kind.MANAGER, email="gestion@bench.example")
    shop = Shop.objects.create(
        company=company, site_id="10000001", name="Boutique", manager_email="boutique@bench.example"
    )
    NotificationRule.objects.create(
        shop=shop, reference="mail-payment", type="merchant_email", label="Paiement accepté",
        triggers=["payment.accepted"], recipients=["@shop_manager"],
    )  # fmt: skip


def event(number: int) -> dict[str, Any]:
    return {
        "id": f"evt-{number:06d}",
        "type": "payment.accepted",
        "site_id": "10000001",
        "mode": "PRODUCTION",
        "occurred_at": "2026-11-23T10:00:00Z",
        "data": {
            "amount": 1990 + number,
            "currency": "EUR",
            "order_id": f"C-{number}",
            "transaction_id": f"{number:06d}",
        },
    }


# As a platform sends them that has more than one at hand.
GROUP = 100


def accept(count: int, start: int = 0) -> None:
    """One request each."""
    from notifications.events.intake import validate_event
    from notifications.events.publishing import accept_event

    for number in range(start, start + count):
        accept_event(valid=validate_event(event(number)))


def accept_in_groups(count: int, start: int) -> None:
    from notifications.events.intake import validate_event
    from notifications.events.publishing import accept_events

    for first in range(start, start + count, GROUP):
        numbers = range(first, min(first + GROUP, start + count))
        accept_events(valid=[validate_event(event(number)) for number in numbers])


def deliver(count: int) -> None:
    from notifications.worker.loop import deliver_until_idle

    tally = deliver_until_idle()
    assert tally.sent == count, tally


def contents() -> list[tuple[str, str, str, str]]:
    """(recipient, subject, text, HTML) of every mail of ours, for the others to send."""
    from notifications.mail import emails
    from notifications.models import Delivery

    rows = Delivery.objects.select_related("message", "event", "shop", "rule").order_by("created_at")
    return [(row.address, row.message.subject, *emails.filled(row, "")) for row in rows]  # type: ignore[union-attr]


def smtplib_loop(mails: list[tuple[str, str, str, str]], port: int) -> None:
    from django.conf import settings

    with smtplib.SMTP("127.0.0.1", port) as smtp:
        for recipient, subject, text, html in mails:
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = settings.DEFAULT_FROM_EMAIL, recipient, subject
            message.set_content(text)
            message.add_alternative(html, subtype="html")
            smtp.send_message(message)


def smtplib_ready(raw: list[tuple[str, bytes]], port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        for recipient, body in raw:
            smtp.sendmail("bench@bench.example", [recipient], body)


def post_office_queue(mails: list[tuple[str, str, str, str]]) -> None:
    from django.conf import settings
    from post_office import mail

    for recipient, subject, text, html in mails:
        mail.send(recipient, settings.DEFAULT_FROM_EMAIL, subject=subject, message=text, html_message=html)


def post_office_send(count: int) -> None:
    from post_office.mail import get_queued, send_queued

    sent = 0
    while get_queued().exists():
        done, failed, _requeued = send_queued(processes=1)
        assert not failed
        sent += done
    assert sent == count, sent


class Cost:
    """Seconds of the clock, and seconds of processor time of this process (not of the sink)."""

    def __init__(self, wall: float = 0.0, cpu: float = 0.0) -> None:
        self.wall, self.cpu = wall, cpu

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.cpu + other.cpu)


def timed(work: Callable[..., None], *arguments: Any) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work(*arguments)
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def taken(port: int) -> int:
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        return int(smtp.docmd("HELP")[1])


def main(count: int, port: int, profile: bool) -> None:
    from django.conf import settings

    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    prepare()
    if profile:
        for work in (accept, deliver):
            profiler = cProfile.Profile()
            profiler.runcall(work, count)
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)
        return
    seconds = {name: Cost() for name in ("accept", "groups", "deliver", "smtplib", "ready", "queue", "send")}
    mails: list[tuple[str, str, str, str]] = []
    # Taken in turns, so that whatever else the machine does meets all of them alike.
    share = count // ROUNDS
    for number in range(ROUNDS):
        seconds["accept"] += timed(accept, share // 2, number * share)
        seconds["groups"] += timed(accept_in_groups, share - share // 2, number * share + share // 2)
        if not mails:
            mails = contents()
            mails = (mails * 2)[:share]
        seconds["queue"] += timed(post_office_queue, mails)
        seconds["deliver"] += timed(deliver, share)
        seconds["send"] += timed(post_office_send, share)
        raw = [(recipient, f"Subject: x\r\n\r\n{text}{html}".encode()) for recipient, _subject, text, html in mails]
        seconds["smtplib"] += timed(smtplib_loop, mails, port)
        seconds["ready"] += timed(smtplib_ready, raw, port)
    count = share * ROUNDS
    assert taken(port) == 4 * count, "the sink did not take every mail"
    tell(count, seconds)


ROUNDS = 2


def tell(count: int, seconds: dict[str, Cost]) -> None:
    # Half of the events came one by one, half in groups.
    accepted, grouped = Cost(seconds["accept"].wall * 2, seconds["accept"].cpu * 2), seconds["groups"]
    grouped = Cost(grouped.wall * 2, grouped.cpu * 2)
    ours, office = accepted + seconds["deliver"], seconds["queue"] + seconds["send"]
    print(f"{count} mails of one recipient, text and HTML, on {database()}. {machine()}")
    print(f"  {'':<58} {'mails':>8}/s {'cpu ms':>8}")
    for name, value in (
        ("ours: accept events one by one", accepted),
        (f"ours: accept events in groups of {GROUP}", grouped),
        ("ours: deliver (claim, send, record)", seconds["deliver"]),
        ("ours: from event to sink, accepted one by one", ours),
        ("ours: from event to sink, accepted in groups", grouped + seconds["deliver"]),
        ("post-office: queue", seconds["queue"]),
        ("post-office: send_queued", seconds["send"]),
        ("post-office: from call to sink", office),
        ("smtplib: build and send, nothing stored", seconds["smtplib"]),
        ("smtplib: bytes ready, nothing stored", seconds["ready"]),
    ):
        print(f"  {name:<58} {count / value.wall:>8.0f}/s {value.cpu / count * 1000:>8.2f}")
    ratios = {}
    for name, other, mine, aim in (
        ("post-office, whole way", office, ours, 3.0),
        ("post-office, whole way in groups", office, grouped + seconds["deliver"], 3.0),
        ("post-office, sending", seconds["send"], seconds["deliver"], 3.0),
        ("smtplib bytes ready, sending", seconds["ready"], seconds["deliver"], 1.0),
    ):
        ratios[f"mail, ours / {name}"] = other.wall / mine.wall, aim
        ratios[f"mail, ours / {name}, processor time"] = other.cpu / mine.cpu, aim
    report(database(), machine(), ratios)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--profile", action="store_true", help="show where the time goes instead")
    chosen = parser.parse_args()
    sink = subprocess.Popen([sys.executable, "-m", "bench.sink"], stdout=subprocess.PIPE, text=True)
    try:
        assert sink.stdout is not None
        sink_port = int(sink.stdout.readline())
        with fresh_database():
            main(chosen.count, sink_port, chosen.profile)
    finally:
        sink.terminate()
        sink.wait()
