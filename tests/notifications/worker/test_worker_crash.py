"""A worker killed at any moment loses nothing (docs/rules.md 5.1)."""

import random
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from notifications.events.publishing import publish
from notifications.models import Delivery
from notifications.outbox.mail_worker import WINDOW
from tests.endpoints import Endpoint, answers
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    MessageFactory,
    NotificationRuleFactory,
    ShopFactory,
    ShopKeyFactory,
)
from tests.smtp import SmtpServer
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_mail_survives_workers_that_are_killed(smtp_server: SmtpServer, start_process: Callable[..., Any]) -> None:
    event = EventFactory()
    message = MessageFactory(event=event)
    for n in range(150):
        DeliveryFactory(event=event, message=message, address=f"d{n}@x.example")
    environment = {"EMAIL_URL": f"smtp://127.0.0.1:{smtp_server.port}", "DEBUG": "false"}
    dice = random.Random(7)
    for _round in range(3):
        # The server takes no more, so the worker is in the middle of its work, however late this process looks.
        enough = smtp_server.takes = len(smtp_server.received) + dice.randint(1, 15)
        worker = start_process("manage.py", "deliver", "--watch", **environment)
        assert wait_until(lambda wanted=enough: len(smtp_server.received) >= wanted), "the worker sends"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    smtp_server.takes = None
    stranded = Delivery.objects.filter(status="sending").count()
    assert stranded, "the kill came in the middle of a batch"
    last = start_process("manage.py", "deliver", "--once", **environment)
    output, _none = last.communicate(timeout=PATIENCE)
    assert last.returncode == 0, output
    assert Delivery.objects.exclude(status="sent").count() == 0, "leases of a dead process are taken over at once"
    arrived = Counter(mail.rcpt_tos[0] for mail in smtp_server.received)
    assert set(arrived) == {f"d{n}@x.example" for n in range(150)}
    for address, times in arrived.items():
        if times > 1:
            assert len({mail.message["Message-ID"] for mail in smtp_server.to(address)}) == 1
    assert sum(arrived.values()) <= 150 + 3 * WINDOW, "at most what was out is repeated at each kill"


def test_calls_survive_workers_that_are_killed(start_process: Callable[..., Any]) -> None:
    with Endpoint() as endpoint:
        endpoint.at("/ipn", answers(200, after=0.05))
        shop = ShopFactory()
        ShopKeyFactory(shop=shop, kind="production")
        NotificationRuleFactory(ipn=True, shop=shop, url_production=endpoint.url("/ipn"))
        with transaction.atomic():
            for n in range(80):
                publish(type="payment.accepted", company=shop.company, shop=shop, data={"transaction_id": f"{n:06d}"})
        environment = {"IPN_ALLOW_PRIVATE_NETWORKS": "true", "DEBUG": "false"}
        for wanted in (5, 25, 50):
            worker = start_process("manage.py", "deliver", "--watch", **environment)
            assert wait_until(lambda wanted=wanted: len(endpoint.requests) >= wanted), "the worker calls"
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        last = start_process("manage.py", "deliver", "--once", **environment)
        output, _none = last.communicate(timeout=PATIENCE)
        assert last.returncode == 0, output
        assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}
        arrived = Counter(request.headers["x-bom-delivery"] for request in endpoint.requests)
        assert len(arrived) == 80
        assert sum(arrived.values()) <= 80 + 3 * 5, "at most the calls in flight are repeated at each kill"
        for delivery, times in arrived.items():
            if times > 1:
                same = {r.body for r in endpoint.requests if r.headers["x-bom-delivery"] == delivery}
                assert len(same) == 1, "a repeated call is the same to the byte, so that it can be recognised"
