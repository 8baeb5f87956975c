"""Empty the database, history included: what the framework's command does, past the guards of the history and of billing."""

from typing import Any

from django.core.management.commands.flush import Command as FlushCommand
from django.db import connections

from companies import history_guard
from shops.billing import guard as billing_guard


class Command(FlushCommand):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        with history_guard.GUARD.lifted(connection), billing_guard.GUARD.lifted(connection):
            super().handle(**options)
