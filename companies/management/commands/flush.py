"""Empty the database, history included: what the framework's command does, past the guard of the history."""

from typing import Any

from django.core.management.commands.flush import Command as FlushCommand
from django.db import connections

from companies import history_guard


class Command(FlushCommand):
    def handle(self, **options: Any) -> None:
        with history_guard.lifted(connections[options["database"]]):
            super().handle(**options)
