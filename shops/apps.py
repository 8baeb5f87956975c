from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


def _guard_billing(sender: AppConfig, using: str, **kwargs: Any) -> None:
    from django.db import connections

    from .billing import guard

    guard.GUARD.look_after(connections[using])


class ShopsConfig(AppConfig):
    name = "shops"
    verbose_name = _("Boutiques")

    def ready(self) -> None:
        # Attaches payment orders to events and to the worker's clock (notifications.hooks).
        import_module("shops.orders.services")
        # Erases answers to data collection forms by the worker's clock.
        import_module("shops.dataforms.services")
        post_migrate.connect(_guard_billing, sender=self)
