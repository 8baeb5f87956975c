"""Counts what became of every accepted event. Believes nobody: no code of the product, no answer of its commands.

It knows which events were acknowledged, what the servers really received, and reads the rows by statements of its own.

    accepted = arrived + dead with a reason + waiting
"""

import email
import email.policy
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

_OPEN = ("queued", "retry", "sending")
_ORDER = re.compile(r"LAB-\d{6}")


@dataclass
class Count:
    """What was found; `wrong` names everything that contradicts the guarantee."""

    accepted: int = 0
    arrived: int = 0
    dead: int = 0
    waiting: int = 0
    duplicates: int = 0
    most_copies: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        return self.accepted - self.arrived - self.dead - self.waiting


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What a statement answers, past the product."""
    if url.startswith("sqlite"):
        link = sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True, timeout=10)
        try:
            return link.execute(statement).fetchall()
        finally:
            link.close()
    import psycopg

    with psycopg.connect(url.replace("postgres://", "postgresql://"), connect_timeout=5, autocommit=True) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload]


def execute(url: str, statement: str) -> None:
    """Change something past the product."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10) as link:
            link.execute(statement)
        link.close()
        return
    import psycopg

    with psycopg.connect(url.replace("postgres://", "postgresql://"), connect_timeout=5, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def orders_in_mail(raw: bytes) -> tuple[str, str]:
    """The `Message-ID` of a mail and the order it speaks of."""
    message = email.message_from_bytes(raw.replace(b"\r\n..", b"\r\n."), policy=email.policy.default)
    part = message.get_body(("plain",))  # type: ignore[attr-defined]
    text = f"{message['Subject']} {part.get_content() if part else ''}"
    found = _ORDER.search(text)
    return str(message["Message-ID"] or ""), found.group() if found else ""


def count(
    url: str,
    accepted: Iterable[str],
    mails: Iterable[bytes],
    calls: Iterable[Any] = (),
    may_repeat: Mapping[str, int] | None = None,
) -> Count:
    """Compare what was acknowledged with what arrived and with what the database says.

    Args:
        accepted: orders of the events that were acknowledged; each leads to one mail or one call.
        mails: contents that the mail server took, whatever it answered.
        calls: requests that the endpoint read whole, with `body` and `headers`.
        may_repeat: order → how many more copies of it there may be; None where that is judged elsewhere.
    """
    accepted = set(accepted)
    result = Count(accepted=len(accepted))
    copies: Counter[str] = Counter()
    arrived: Counter[str] = Counter()
    identities: dict[str, set[str]] = {}
    for raw in mails:
        identity, order = orders_in_mail(raw)
        if not order:
            continue  # a mail that is none of an event's: alerts
        copies[identity] += 1
        arrived[order] += 1
        identities.setdefault(order, set()).add(identity)
    for call in calls:
        if order := order_in_call(call):
            copies[call.headers.get("x-bom-delivery", order)] += 1
            arrived[order] += 1
    states = _states(url)
    for order in sorted(accepted):
        state = states.get(order)
        if state is None:
            result.wrong.append(f"{order} was acknowledged and is in no row")
        elif arrived[order]:
            result.arrived += 1
        elif state[0] in _OPEN:
            result.waiting += 1
        elif state[0] in ("dead", "not_sent") and state[1]:
            result.dead += 1
        else:
            result.wrong.append(f"{order} is {state[0]} ({state[1]}) and did not arrive")
        if len(identities.get(order, ())) > 1:
            result.wrong.append(f"{order} arrived under {len(identities[order])} Message-IDs")
    for order in arrived.keys() - states.keys():
        result.wrong.append(f"{order} arrived and was never recorded")
    if may_repeat is not None:
        for order, number in sorted(arrived.items()):
            if number > 1 + may_repeat.get(order, 0):
                result.wrong.append(f"{order} arrived {number} times, out at {may_repeat.get(order, 0)} deaths")
    result.duplicates = sum(copies.values()) - len(copies)
    result.most_copies = max(copies.values(), default=0)
    if result.lost and not result.wrong:
        result.wrong.append(f"{result.lost} lost")
    return result


def order_in_call(call: Any) -> str:
    """The order that a request speaks of; empty for none."""
    body = call.body.decode("utf-8", "replace")
    fields = parse_qs(body) if "=" in body else {}
    found = _ORDER.search(f"{body} {fields} {urlsplit(call.path).query}")
    return found.group() if found else ""


def _states(url: str) -> dict[str, tuple[str, str]]:
    """Order → status and reason of its delivery."""
    found = rows(
        url,
        "SELECT e.event_id, d.status, d.error FROM notifications_delivery d"
        " JOIN notifications_event e ON e.id = d.event_id WHERE e.event_id LIKE 'LAB-%'",
    )
    return {str(event): (str(status), str(error)) for event, status, error in found}


class Out:
    """What a process had sent and not recorded when it died: that alone may come again, once for each time.

    Attributes:
        times: order → at how many deaths it was out.
        at_once: how many were out at each death.
    """

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.at_once: list[int] = []
        self._read = [0, 0]

    def note(self, url: str, mails: Sequence[bytes], calls: Sequence[Any]) -> None:
        """Look once a process has died and what it had sent has come."""
        came = {orders_in_mail(raw)[1] for raw in mails[self._read[0] :]}
        came |= {order for call in calls[self._read[1] :] if (order := order_in_call(call))}
        self._read = [len(mails), len(calls)]
        states = _states(url)
        out = [order for order in came if states.get(order, ("",))[0] in _OPEN]
        self.times.update(out)
        self.at_once.append(len(out))


def open_orders(url: str) -> int:
    """Deliveries of the laboratory's own events that are open."""
    return sum(status in _OPEN for status, _error in _states(url).values())


def open_count(url: str) -> int:
    words = ", ".join(f"'{word}'" for word in _OPEN)
    return int(rows(url, f"SELECT COUNT(*) FROM notifications_delivery WHERE status IN ({words})")[0][0])
