from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ShopsConfig(AppConfig):
    name = "shops"
    verbose_name = _("Boutiques")

    def ready(self) -> None:
        # Attaches payment orders to events and to the worker's clock (notifications.hooks).
        import_module("shops.orders.services")
        # Erases answers to data collection forms by the worker's clock.
        import_module("shops.dataforms.services")
