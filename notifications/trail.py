"""The trail of a notification: in the logs, and in traces where they are collected.

Two lines, at `LOG_LEVEL=INFO`: one when an event is accepted, one when an attempt is over. Both name request, event
and deliveries; the second one also what the other side calls the message. Addresses stand in neither.

Spans follow the conventions of OpenTelemetry for messaging, the outbox being the destination: *publish* where an event is
accepted, *claim* where a worker takes a batch, *deliver* for each attempt with the exchange in it. The span that an
event was made in is stored with it, since a worker meets it later and elsewhere, and the trace may be the caller's.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import structlog
from django.db import transaction

from backoffice.base import tracing
from notifications.models import Delivery, Event

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger(__name__)
_standard = logging.getLogger(__name__)
# Beyond these the deliveries of an event are only counted: a line stays readable.
MOST_NAMED = 50
_OUTBOX = {"messaging.system": "backoffice", "messaging.destination.name": "outbox"}


@dataclass(frozen=True)
class Exchange:
    """What went over the network in an attempt.

    Attributes:
        kind: SMTP or HTTP; empty where no server was involved.
        server: its `host:port`, or `scheme://host:port`.
        ended: seconds since 1970; 0 where nothing was tried.
        error: what kind of failure it was, a code or a name; empty where there was none.
    """

    kind: str
    server: str
    ended: float
    duration_ms: int
    code: int | None = None
    error: str = ""


def is_kept() -> bool:
    """Whether anything of this is wanted."""
    return _standard.isEnabledFor(logging.INFO) or tracing.is_on()


# --- Accepting ------------------------------------------------------------------------------------


def publishing(count: int = 1) -> AbstractContextManager[Any]:
    """The span of accepting so many events: what they lead to belongs to it."""
    batch = {"messaging.batch.message_count": count} if count > 1 else {}
    return tracing.span(
        "publish outbox",
        "PRODUCER",
        {**_OUTBOX, "messaging.operation.name": "publish", "messaging.operation.type": "send", **batch},
    )


def published(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function accept one event within such a span."""

    @wraps(function)
    def within(*args: P.args, **kwargs: P.kwargs) -> R:
        if not tracing.is_on():
            return function(*args, **kwargs)
        with publishing():
            return function(*args, **kwargs)

    return within


def accepted(events: Sequence[Event], deliveries: Iterable[Delivery]) -> None:
    """Note events with the deliveries they led to, once their transaction is committed."""
    if not _standard.isEnabledFor(logging.INFO):
        return
    keys: dict[int, list[str]] = defaultdict(list)
    for delivery in deliveries:
        keys[delivery.event_id].append(str(delivery.pk))
    transaction.on_commit(lambda: _note(events, keys), robust=True)


def _note(events: Sequence[Event], keys: dict[int, list[str]]) -> None:
    for event in events:
        mine = keys.get(event.pk, [])
        log.info(
            "event_accepted",
            event_id=event.event_id,
            type=event.type,
            company=event.company_id,
            shop=event.shop_id,
            deliveries=mine[:MOST_NAMED],
            count=len(mine),
            # Of the request that brought it, which may share its transaction with this one.
            **({"request_id": event.request_id} if event.request_id else {}),
        )


# --- Sending --------------------------------------------------------------------------------------


def claimed(deliveries: Sequence[Delivery], began: float) -> None:
    """Note that a worker has taken a batch.

    Args:
        deliveries: with their events.
        began: seconds since 1970.
    """
    if not deliveries or not tracing.is_on():
        return
    ended = tracing.now()
    made_in = {delivery.event.traceparent for delivery in deliveries} - {""}
    past = tracing.Past(
        "claim outbox",
        "CLIENT",
        {
            **_OUTBOX,
            "messaging.operation.name": "claim",
            "messaging.operation.type": "receive",
            "messaging.batch.message_count": len(deliveries),
        },
        began,
        ended,
        links=[context for text in sorted(made_in) if (context := tracing.span_context_of(text)) is not None],
    )
    with tracing.told(past) as context:
        for delivery in deliveries:
            delivery.claim = context, ended  # type: ignore[attr-defined]


def attempted(delivery: Delivery, status: str, number: int, exchange: Callable[[], Exchange], **answer: Any) -> None:
    """Note an attempt that is over and recorded.

    Args:
        delivery: as it was before the attempt, with its event.
        status: the state that the attempt led to.
        number: which attempt of the delivery it was.
        exchange: what went over the network, asked for only where traces are on.
        answer: what the other side said: code, reply, its name for the message.
    """
    if not tracing.is_on():
        _note_attempt(delivery, status, number, answer)
        return
    with tracing.told(_attempt(delivery, status, number, exchange())):
        _note_attempt(delivery, status, number, answer)


def _note_attempt(delivery: Delivery, status: str, number: int, answer: dict[str, Any]) -> None:
    log.info(
        "attempt_ended",
        request_id=delivery.event.request_id,
        event_id=delivery.event.event_id,
        delivery_id=str(delivery.pk),
        channel=delivery.channel,
        notification=delivery.notification,
        company=delivery.company_id,
        attempt=number,
        status=str(status),
        **answer,
    )


def _attempt(delivery: Delivery, status: str, number: int, exchange: Exchange) -> tracing.Past:
    """The span of an attempt: a child of the one that its event was made in, with a link to the claim."""
    ended = tracing.now()
    context, claimed_at = getattr(delivery, "claim", (None, ended))
    left = min(exchange.ended, ended) - exchange.duration_ms / 1000
    return tracing.Past(
        "deliver outbox",
        "CONSUMER",
        {
            **_OUTBOX,
            "messaging.operation.name": "deliver",
            "messaging.operation.type": "process",
            "messaging.message.id": str(delivery.pk),
            "messaging.message.conversation_id": delivery.event.request_id or str(delivery.event_id),
            "bom.channel": delivery.channel,
            "bom.notification": delivery.notification,
            "bom.attempt": number,
            "bom.status": str(status),
        },
        min(claimed_at, left) if exchange.ended else claimed_at,
        ended,
        exchange.error,
        delivery.event.traceparent,
        [context] if context else [],
        [_of_exchange(exchange, left, ended)] if exchange.ended else [],
    )


def _of_exchange(exchange: Exchange, left: float, recorded: float) -> tracing.Past:
    scheme, _sep, place = exchange.server.rpartition("://")
    host, _sep, port = place.rpartition(":")
    told: dict[str, str | int | bool] = {"network.protocol.name": exchange.kind.lower()}
    if exchange.kind and port.isdigit():
        told |= {"server.address": host, "server.port": int(port)}
    if exchange.kind == "HTTP":
        told |= {"http.request.method": "POST", "url.scheme": scheme}
        if exchange.code is not None:
            told["http.response.status_code"] = exchange.code
        name = "POST"
    else:
        if exchange.code is not None:
            told["smtp.reply.code"] = exchange.code
        name = "SMTP" if exchange.kind else "hand over"
    if not exchange.kind:
        told = {}
    kind = "CLIENT" if exchange.kind else "INTERNAL"
    return tracing.Past(name, kind, told, left, min(exchange.ended, recorded), exchange.error)
