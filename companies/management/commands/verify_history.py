"""`manage.py verify_history`: whether an entry of the history was removed or altered."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from companies import history_guard, seals


class Command(BaseCommand):
    help = "Check the triggers and the chain of seals of the history; exit 1 when something was removed or altered."

    def handle(self, **options: Any) -> None:
        seals.seal_entries()
        found = seals.verify()
        if not history_guard.GUARD.is_installed(connection):
            found.problems.append("the triggers that refuse changes are missing: run manage.py migrate")
        for problem in found.problems:
            self.stderr.write(problem)
        self.stdout.write(
            f"entries={found.entries} sealed={found.sealed} seals={found.seals} erased={found.erased} "
            f"problems={len(found.problems)}"
        )
        if found.problems:
            raise CommandError("the history is not what was written", returncode=1)
