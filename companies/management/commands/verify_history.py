"""`manage.py verify_history`: whether an entry of the history was removed or altered."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from companies.history import guard as history_guard
from companies.history import seals


class Command(BaseCommand):
    help = "Check the triggers and the chain of seals of the history; exit 1 when something was removed or altered."

    def handle(self, **options: Any) -> None:
        seals.seal_entries()
        result = seals.verify()
        if not history_guard.GUARD.is_installed(connection):
            result.problems.append("the triggers that refuse changes are missing: run manage.py migrate")
        for problem in result.problems:
            self.stderr.write(problem)
        self.stdout.write(
            f"entries={result.entries} sealed={result.sealed} seals={result.seals} erased={result.erased} "
            f"problems={len(result.problems)}"
        )
        if result.problems:
            raise CommandError("the history is not what was written", returncode=1)
