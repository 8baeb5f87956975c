"""Empty the database, history included: what the framework's command does, past the triggers of the database."""

from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.core.management.commands.flush import Command as FlushCommand
from django.db import connections
from django.utils.module_loading import import_string


class Command(FlushCommand):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        with ExitStack() as lifted:
            for name in settings.DATABASE_GUARDS.values():
                lifted.enter_context(import_string(name).lifted(connection))
            super().handle(**options)
