"""Random kills: SIGKILL to workers, web processes, the database and the broker, while events come in and mails go out."""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.laboratory import CALL_SHOP, Laboratory, Running, Skipped
from tests.faults.report import Results
from tests.ports import free_port

# The database and the broker take a while to come back, so they are killed less often.
SHARES = {"worker": 70, "web": 20, "database": 6, "broker": 4}
WORKERS = 2
# So many events and mails go through between two kills at most, and seconds that they may take.
MOST_BETWEEN = 8
PATIENCE = 20.0
# So many kills on one outbox: what they do to each other is found, and an interrupted run has lost little.
PIECE = 50


class Strain:
    """Events come in over the web server all the time; whatever dies is started again."""

    def __init__(self, lab: Laboratory, seed: int) -> None:
        self.lab, self.dice = lab, random.Random(seed)
        self.killed: Counter[str] = Counter()
        # Seconds until what was killed was up again.
        self.took: Counter[str] = Counter()
        self._over = threading.Event()
        self._backlog = threading.Lock()
        self.port = free_port()
        self.workers: list[Running] = []

    def run(self, kills: int) -> None:
        lab = self.lab
        self.web, _port = lab.web(self.port)
        self.workers = [self._worker() for _number in range(WORKERS)]
        senders = [threading.Thread(target=self._send, args=(kind,)) for kind in ("", CALL_SHOP)]
        for sender in senders:
            sender.start()
        try:
            for _number in range(kills):
                time.sleep(self.dice.uniform(0.05, 0.5))
                self._something_happens(self.dice.randint(0, MOST_BETWEEN))
                began = time.monotonic()
                what = self._choice()
                self._kill(what)
                self.took[what] += time.monotonic() - began
        finally:
            self._over.set()
            for sender in senders:
                sender.join(60)
        self._up()
        lab.settled(240)

    def _something_happens(self, count: int) -> None:
        """So much is accepted or sent: what dies while it still starts proves nothing, on a busy machine most of all."""
        goal = self._done + count
        end = time.monotonic() + PATIENCE
        while self._done < goal and time.monotonic() < end:
            time.sleep(0.02)

    @property
    def _done(self) -> int:
        return len(self.lab.accepted) + len(self.lab.smtp.mails) + len(self.lab.endpoint.requests)

    def _worker(self) -> Running:
        kind = ["celery", "--quiet", "-A", "backoffice", "worker", "--concurrency", "1"]
        is_celery = bool(self.lab.broker_kind) and not any("celery" in one.stdout.name for one in self.workers)
        return self.lab.start(*kind) if is_celery else self.lab.worker()

    def _choice(self) -> str:
        shares = {
            name: share
            for name, share in SHARES.items()
            if (name != "database" or "postgresql" in self.lab.services) and (name != "broker" or self.lab.broker_kind)
        }
        return self.dice.choices(list(shares), list(shares.values()))[0]

    def _kill(self, what: str) -> None:
        lab = self.lab
        if what == "worker":
            place = self.dice.randrange(len(self.workers))
            victim = self.workers.pop(place)
            # Half of the time with everything it started.
            victim.kill_all() if "celery" in victim.stdout.name or self.dice.random() < 0.5 else victim.kill()
            with suppress(TimeoutError):
                victim.wait(10)
            lab._processes.remove(victim)
            self.workers.append(self._worker())
        elif what == "web":
            children = Path(f"/proc/{self.web.pid}/task/{self.web.pid}/children").read_text().split()
            if children and self.dice.random() < 0.8:
                with suppress(ProcessLookupError):
                    os.kill(int(self.dice.choice(children)), signal.SIGKILL)
            else:
                self.web.kill()
                self.web.wait(10)
                self.web, _port = lab.web(self.port)
        else:
            service = lab.postgresql if what == "database" else lab.services[lab.broker_kind]
            service.kill()
            time.sleep(self.dice.uniform(0, 1))
            service.start()
        self.killed[what] += 1

    def _up(self) -> None:
        for service in self.lab.services.values():
            service.ensure()
        self.workers.append(self.lab.worker())

    def _send(self, shop: str) -> None:
        lab = self.lab
        while not self._over.is_set():
            with self._backlog:
                (event,) = lab.events(1, shop) if shop else lab.events(1)
            for _again in range(100):
                if 200 <= lab.post_event(self.port, event) < 300 or self._over.is_set():
                    break
                time.sleep(0.1)
            time.sleep(0.1 if shop else 0.02)


def run(databases: Iterable[str], kills: int, seed: int, results: Results, *, resume: bool, version: str) -> int:
    """So many kills in all, shared among the databases; returns in how many pieces a promise broke.

    A piece begins on an empty outbox, ends once everything is sent, and is kept at once.

    Args:
        resume: what was killed in earlier runs counts.
    """
    databases = list(databases)
    failed = 0
    for database in databases:
        known = results.kills(database) if resume else None
        missing = kills // len(databases) - (known["kills"] if known else 0)
        if missing <= 0:
            continue
        try:
            with Laboratory(database, broker="redis" if database == "postgresql" else "") as lab:
                for start in range(0, missing, PIECE):
                    piece = _piece(lab, min(PIECE, missing - start), seed + start + (known["kills"] if known else 0))
                    failed += bool(piece["wrong"])
                    results.keep_part("kills", database, piece | {"versions": [version]}, beside=bool(known or start))
                    sys.stderr.write(f"kills ({database}): {piece}\n")
        except Skipped as reason:
            sys.stderr.write(f"kills skipped on {database}: {reason}\n")
    return failed


def _piece(lab: Laboratory, kills: int, seed: int) -> dict[str, Any]:
    began = time.monotonic()
    wrong: list[str] = []
    lab.fresh()
    lab.smtp.after = {"END": 0.01}
    strain = Strain(lab, seed)
    try:
        strain.run(kills)
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")
    return _result(lab, strain, wrong, began)


def _result(lab: Laboratory, strain: Strain, wrong: list[str], began: float) -> dict[str, Any]:
    count = lab.count()
    wrong += count.wrong
    if count.waiting or count.dead:
        wrong.append(f"waiting={count.waiting} dead={count.dead}")
    return {
        "kills": strain.killed.total(), "killed": dict(strain.killed), "accepted": count.accepted, "arrived": count.arrived,
        "lost": count.lost, "duplicates": count.duplicates, "most_copies": count.most_copies, "wrong": wrong[:5],
        "seconds": round(time.monotonic() - began), "took": {what: round(took, 1) for what, took in strain.took.items()},
    }  # fmt: skip
