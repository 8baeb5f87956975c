"""`manage.py status [--format json | --worker]`: how sending stands, and what needs a person."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.utils.translation import gettext as _

from notifications.outbox import leases, parts, signs, state
from notifications.outbox.parts import Trouble
from notifications.outbox.state import State


class Command(BaseCommand):
    help = "Tells how sending stands; exit code 1 when something needs a person."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--worker", action="store_true", help="only whether a worker of this machine lives; exit code 1 else"
        )

    def handle(self, *, format: str, worker: bool, **options: Any) -> None:
        if worker:
            self._worker()
            return
        stands, problems = _looked()
        if format == "json":
            document: dict[str, Any] = stands.as_json() if stands else {}
            document["problems"] = [{"part": problem.part, "text": problem.text} for problem in problems]
            self.stdout.write(json.dumps(document, ensure_ascii=False, indent=2))
        else:
            for line in _lines(stands) if stands else []:
                self.stdout.write(line)
            for problem in problems:
                self.stdout.write(f"! {problem.part}: {problem.text}")
            names = ",".join(sorted({problem.part for problem in problems})) or "none"
            self.stdout.write(f"problems={names}")
        if problems:
            sys.exit(1)

    def _worker(self) -> None:
        """For health checks of containers: an unreachable database does not make this worker unhealthy."""
        try:
            own = [one for one in state.workers(leases.database_now()) if one.name.startswith(signs.machine_prefix())]
        except DatabaseError as error:
            self.stdout.write(f"worker=unknown {type(error).__name__}")
            return
        living = [one for one in own if not one.is_silent]
        self.stdout.write(f"worker={len(living)}")
        if not living:
            sys.exit(1)


def _looked() -> tuple[State | None, list[Trouble]]:
    """The state of sending, None if the database does not answer, and the list of problems."""
    problem = parts.database()
    if problem is not None and problem.text and problem.part == "migrations":
        return None, [problem]
    try:
        stands = state.now_stands()
    except DatabaseError as error:
        return None, [
            problem or Trouble("database", _("La base de données ne répond pas : %(error)s.") % {"error": error})
        ]
    return stands, [*([problem] if problem else []), *parts.foundations(), *parts.of_sending(stands)]


def _lines(stands: State) -> list[str]:
    lines = [
        f"queue {one.channel}/{one.lane} {one.state}={one.count} oldest={one.oldest_seconds}s" for one in stands.queue
    ]
    lines += [f"dead {count} {reason}" for reason, count in stands.dead.items()]
    lines += [
        f"worker {one.name} seen={one.seen_seconds}s{' silent' if one.is_silent else ''}" for one in stands.workers
    ]
    lines.append(f"tick {'never' if stands.tick_seconds is None else f'{stands.tick_seconds}s'} {stands.tick_worker}")
    lines.append(f"leases held={stands.leases['held']} ended={stands.leases['ended']}")
    lines.append("per_minute " + " ".join(f"{name}={value}" for name, value in stands.per_minute.items()))
    for hold in stands.paused:
        what = " ".join(part for part in (hold.company, hold.channel, hold.lane, hold.endpoint) if part) or "all"
        lines.append(f"paused #{hold.id} {what} since={hold.since} by={hold.by} reason={hold.reason}")
    for breaker in stands.breakers:
        now = f"open={breaker.open_seconds}s" if breaker.is_open else "closed"
        of = f" company={breaker.company}" if breaker.company else ""
        lines.append(f"relay {breaker.relay}{of} {now} failures={breaker.failures} {breaker.reply}")
    for limit in stands.limits:
        rate = f"per_minute={limit.per_minute or '-'} booked={limit.backlog_seconds}s"
        lines.append(f"limit {limit.name} {rate} connections={limit.connections_in_use}/{limit.connections or '-'}")
    lines += [f"settings {name} waiting={count}" for name, count in stands.waiting_for_settings.items()]
    return lines
