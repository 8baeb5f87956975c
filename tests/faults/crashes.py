"""Crash points: the worker, or who accepts, dies at a named function again and again, and is started again each time.

Nothing in the product knows of this: `dying` puts the death around the function in the process that is to die.
"""

import json
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.faults import checker
from tests.faults.laboratory import CALL_SHOP, PATIENCE, Laboratory, Skipped
from tests.faults.report import Results


@dataclass(frozen=True)
class Point:
    """Where a process dies.

    Attributes:
        repeats: whether mails may be out at that moment, taken by the server and not recorded. These alone may come
            again, once for each death they were out at; elsewhere nothing may.
        chance: of dying at each call.
    """

    name: str
    at: str
    when: str = "after"
    repeats: bool = False
    chance: float = 1.0
    shop: str = ""
    accepting: bool = False


OUTBOX = "notifications.outbox"
POINTS = (
    Point("claimed, nothing loaded yet, nothing is out", f"{OUTBOX}.mail_worker:MailClaims.claim"),
    Point(
        "claimed again, mails of earlier claims are out",
        f"{OUTBOX}.mail_worker:MailClaims.claim",
        repeats=True,
        chance=0.5,
    ),
    Point("inside the transaction of the claim", f"{OUTBOX}.claims:_lease"),
    Point("loaded, no mail made yet", f"{OUTBOX}.mail_worker:loaded"),
    Point("the first mail is made, none has left", f"{OUTBOX}.mail_worker:pack"),
    Point("a mail is made, others are out", f"{OUTBOX}.mail_worker:pack", repeats=True, chance=0.3),
    Point(
        "the server took a mail, nobody knows",
        f"{OUTBOX}.transports.connections:EmailTransport.send",
        repeats=True,
        chance=0.3,
    ),
    Point("before results are recorded", f"{OUTBOX}.mail_results:record", "before", repeats=True),
    Point("inside the transaction of the results", f"{OUTBOX}.mail_results:_write", repeats=True),
    Point("results are recorded", f"{OUTBOX}.mail_results:record", repeats=True),
    Point("before leases are renewed or given back", f"{OUTBOX}.leases:release", "before", repeats=True, chance=0.5),
    Point("leases of the dead are taken over", f"{OUTBOX}.leases:sweep", repeats=True, chance=0.5),
    Point(
        "the endpoint answered, nothing is recorded",
        f"{OUTBOX}.call_results:record",
        "before",
        repeats=True,
        shop=CALL_SHOP,
    ),
    Point("inside the transaction of acceptance", "notifications.events.publishing:_record", accepting=True),
    Point("accepted, nobody told", "notifications.events.publishing:_accepted_together", accepting=True),
)
MAILS = 60
# So much is out at a time by docs/operations.md: mails and calls alike.
WINDOW = 32


def run(databases: Iterable[str], deaths: int, results: Results, *, resume: bool, version: str, only: str = "") -> int:
    """Let processes die so often at each point; returns at how many points a promise broke.

    Args:
        resume: what died in earlier runs counts, unless a promise broke there.
        only: points whose name contains this.
    """
    failed = 0
    for database in databases:
        known = {point: results.crashes(database, point.name) if resume else None for point in POINTS}
        missing = {point: deaths - (one["deaths"] if one and not one["wrong"] else 0) for point, one in known.items()}
        chosen = [point for point, count in missing.items() if count > 0 and only.lower() in point.name.lower()]
        if not chosen:
            continue
        try:
            with Laboratory(database) as lab:
                for number, point in enumerate(chosen, 1):
                    result = _at(lab, point, missing[point]) | {"versions": [version]}
                    failed += bool(result["wrong"])
                    results.keep_part("crashes", f"{database}/{point.name}", result, beside=missing[point] < deaths)
                    sys.stderr.write(f"crash point {number}/{len(chosen)} ({database}) {point.name}: {result}\n")
        except Skipped as reason:
            sys.stderr.write(f"crash points skipped on {database}: {reason}\n")
    return failed


def _at(lab: Laboratory, point: Point, deaths: int) -> dict[str, Any]:
    began = time.monotonic()
    died, wrong, out = 0, [], checker.Out()
    try:
        lab.fresh()
        if point.accepting:
            died = _while_accepting(lab, point, deaths)
        else:
            died = _while_sending(lab, point, deaths, out)
        if died < deaths:
            wrong.append(f"died {died} times only")
        lab.worker()
        lab.settled(240)
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")
    count = lab.count(out)
    wrong += count.wrong
    if count.waiting or count.dead:
        wrong.append(f"waiting={count.waiting} dead={count.dead}")
    most_out = max(out.at_once, default=0)
    if most_out > (WINDOW if point.repeats else 0):
        wrong.append(f"{most_out} were out at a death")
    if count.duplicates and not point.repeats:
        wrong.append(f"{count.duplicates} duplicates")
    return {
        "deaths": died, "accepted": count.accepted, "arrived": count.arrived, "duplicates": count.duplicates,
        "most_copies": count.most_copies, "most_out": most_out, "wrong": wrong[:5],
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip


def _while_sending(lab: Laboratory, point: Point, deaths: int, out: checker.Out) -> int:
    died = 0
    for number in range(10 * deaths):
        if died >= deaths:
            break
        if lab._open() < 5:
            lab.publish(MAILS, point.shop) if point.shop else lab.publish(MAILS)
        die = {"at": point.at, "when": point.when, "chance": point.chance, "seed": number}
        worker = lab.worker(die=die)
        end = time.monotonic() + PATIENCE
        looked = time.monotonic()
        while worker.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
            if time.monotonic() > looked + 0.5:
                # It dies of what it does, so there must be something to do.
                looked = time.monotonic()
                if not lab._open():
                    break
        if worker.poll() is None:
            # It had nothing left to die of: an orderly end may be what kills it.
            worker.send(signal.SIGTERM)
            worker.wait(60)
        died += worker.poll() == -signal.SIGKILL
        lab.note_out(out)
    return died


def _while_accepting(lab: Laboratory, point: Point, deaths: int) -> int:
    """What dies was not acknowledged; the sender sends it again, as the documents ask."""
    died = 0
    for number in range(deaths):
        events = lab.events(3)
        file = lab.folder / f"dying-{number}.jsonl"
        file.write_text("".join(json.dumps(event) + "\n" for event in events))
        first = lab.run("publish", str(file), die={"at": point.at, "when": point.when})
        died += first.poll() == -signal.SIGKILL
        again = lab.run("publish", str(file))
        if "rejected=0" in again.output:
            lab.accepted += [event["id"] for event in events]
    return died
