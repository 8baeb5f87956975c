"""What the pages of a shop share: its tabs and the choice of another shop."""

from typing import Any

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.translation import gettext as _

from companies import access, permissions
from shops.models import Shop

register = template.Library()

# As many shops as a list to choose from stays usable; beyond, the searched list of shops serves.
SELECTOR_SIZE = 50


@register.inclusion_tag("shops/tabs.html", takes_context=True)
def shop_tabs(context: Context, shop: Shop, tab: str) -> dict[str, Any]:
    """The tabs of a shop's pages that the reader may open, and the way to another shop.

    Args:
        tab: the present one: configuration, keys, contracts…
    """
    membership = context["request"].membership
    tabs = [
        ("configuration", _("Configuration"), reverse("shop_configuration", args=[shop.site_id])),
        ("contracts", _("Contrats"), reverse("shop_contracts", args=[shop.site_id])),
        ("data-form", _("Formulaire"), reverse("data_form", args=[shop.site_id])),
    ]
    if access.can(membership, permissions.MANAGE_KEYS, shop):
        tabs.insert(1, ("keys", _("Clés"), reverse("shop_keys", args=[shop.site_id])))
    needed = permissions.MANAGE_KEYS if tab == "keys" else permissions.VIEW
    choices = list(access.shops_of(membership, needed)[: SELECTOR_SIZE + 1])
    return {
        "shop": shop,
        "tab": tab,
        "tabs": tabs,
        "choices": choices if 1 < len(choices) <= SELECTOR_SIZE else [],
        "many": len(choices) > SELECTOR_SIZE,
    }
