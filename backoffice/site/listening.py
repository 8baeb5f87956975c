"""Attaches what listens to signals of the framework. Nothing else does; the table stands in the settings.

What listens to events and to the clock is looked up by `notifications/events/hooks.py` in the same table.
"""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.module_loading import import_string
from django_structlog.signals import bind_extra_request_finished_metadata, update_failure_response

from backoffice.base import logs


def attach() -> None:
    for label in settings.DATABASE_GUARDS:
        app = apps.get_app_config(label)
        pre_migrate.connect(let_guard_aside, sender=app, dispatch_uid=identity(label))
        post_migrate.connect(put_guard_back, sender=app, dispatch_uid=identity(label))
    connection_created.connect(give_clock, dispatch_uid="clock of the database")
    for request_ended in (bind_extra_request_finished_metadata, update_failure_response):
        request_ended.connect(logs.name_request, dispatch_uid="name of the request")


def identity(label: str) -> str:
    """Under which a guard is attached, once however often `attach` is called."""
    return f"guard of {label}"


def give_clock(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    import_string(settings.DATABASE_CLOCK)(connection)


def let_guard_aside(sender: AppConfig, using: str, plan: Sequence[tuple[Any, bool]] = (), **kwargs: Any) -> None:
    """Drop the triggers before migrations are reversed: a trigger that names a column keeps it from being dropped."""
    if any(backwards for _migration, backwards in plan):
        import_string(settings.DATABASE_GUARDS[sender.label]).step_aside(connections[using])


def put_guard_back(sender: AppConfig, using: str, **kwargs: Any) -> None:
    import_string(settings.DATABASE_GUARDS[sender.label]).look_after(connections[using])
