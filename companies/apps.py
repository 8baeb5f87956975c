from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


def _guard_history(sender: AppConfig, using: str, **kwargs: Any) -> None:
    from django.db import connections

    from . import history_guard

    history_guard.GUARD.look_after(connections[using])


class CompaniesConfig(AppConfig):
    name = "companies"
    verbose_name = _("Sociétés et comptes")

    def ready(self) -> None:
        from notifications import hooks

        from . import logins, seals

        post_migrate.connect(_guard_history, sender=self)
        hooks.on_tick(seals.tick)
        hooks.on_tick(logins.tick)
