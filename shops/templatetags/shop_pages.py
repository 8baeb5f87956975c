"""What the pages of a shop share: its tabs and the choice of another shop."""

from typing import Any

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.translation import gettext as _

from companies.models import Status
from companies.rights import access, permissions
from notifications.core.facts import CompanyFacts, ShopFacts
from shops.models import Shop

register = template.Library()

# As many shops as a list to choose from stays usable; beyond, the searched list of shops serves.
SELECTOR_SIZE = 50


@register.inclusion_tag("shops/tabs.html", takes_context=True)
def shop_tabs(context: Context, shop: Shop, tab: str, facts: CompanyFacts | None = None) -> dict[str, Any]:
    """The tabs of a shop's pages that the reader may open, and the way to another shop.

    Args:
        tab: the present one: configuration, keys, contracts…
        facts: what the reader sees of the company, when the page has read it already.
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
    choices: list[Shop | ShopFacts] = []
    if facts is not None and needed == permissions.VIEW:
        choices += [one for one in facts.shops if one.status != Status.CLOSED][: SELECTOR_SIZE + 1]
    else:
        choices += access.open_shops_of(membership, needed)[: SELECTOR_SIZE + 1]
    if len(choices) <= SELECTOR_SIZE and all(one.site_id != shop.site_id for one in choices):
        # A closed one is not offered; opened by its link, it is the one that is shown.
        choices.append(shop)
    return {
        "shop": shop,
        "tab": tab,
        "tabs": tabs,
        "choices": choices if 1 < len(choices) <= SELECTOR_SIZE else [],
        "many": len(choices) > SELECTOR_SIZE,
    }
