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

from bench.environment import fresh_database, machine


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


def accept(count: int) -> None:
    from notifications.intake import validate_event
    from notifications.services import accept_event

    for number in range(count):
        accept_event(valid=validate_event(event(number)))


def deliver(count: int) -> None:
    from notifications.dispatch import deliver_until_idle

    tally = deliver_until_idle()
    assert tally.sent == count, tally


def contents() -> list[tuple[str, str, str, str]]:
    """(recipient, subject, text, HTML) of every mail of ours, for the others to send."""
    from notifications import emails
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
    seconds = {"accept": timed(accept, count), "deliver": timed(deliver, count)}
    mails = contents()
    raw = [(recipient, f"Subject: x\r\n\r\n{text}{html}".encode()) for recipient, _subject, text, html in mails]
    seconds["smtplib"] = timed(smtplib_loop, mails, port)
    seconds["ready"] = timed(smtplib_ready, raw, port)
    seconds["queue"] = timed(post_office_queue, mails)
    seconds["send"] = timed(post_office_send, count)
    assert taken(port) == 4 * count, "the sink did not take every mail"

    ours, office = seconds["accept"] + seconds["deliver"], seconds["queue"] + seconds["send"]
    print(f"{count} mails of one recipient, text and HTML. {machine()}")
    print(f"  {'':<58} {'mails':>8}/s {'cpu ms':>8}")
    for name, value in (
        ("ours: accept events (validate, resolve, compose, store)", seconds["accept"]),
        ("ours: deliver (claim, send, record)", seconds["deliver"]),
        ("ours: from event to sink", ours),
        ("post-office: queue", seconds["queue"]),
        ("post-office: send_queued", seconds["send"]),
        ("post-office: from call to sink", office),
        ("smtplib: build and send, nothing stored", seconds["smtplib"]),
        ("smtplib: bytes ready, nothing stored", seconds["ready"]),
    ):
        print(f"  {name:<58} {count / value.wall:>8.0f}/s {value.cpu / count * 1000:>8.2f}")
    print(f"{'ratios, 1.00 is as fast as the other':<60} {'rate':>8}   {'cpu':>8}")
    for name, other, mine in (
        ("ours / post-office, whole way", office, ours),
        ("ours / post-office, sending", seconds["send"], seconds["deliver"]),
        ("ours / smtplib build and send, whole way", seconds["smtplib"], ours),
        ("ours / smtplib build and send, sending", seconds["smtplib"], seconds["deliver"]),
        ("ours / smtplib bytes ready, whole way", seconds["ready"], ours),
    ):
        print(f"  {name:<58} {other.wall / mine.wall:>8.2f}   {other.cpu / mine.cpu:>8.2f}")


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
