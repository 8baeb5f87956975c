"""Reads of notification rules for the screens."""

from shops.models import Shop


def shop_manager_email(shop: Shop) -> str:
    """The address that `@shop_manager` stands for in this shop today; empty when there is none."""
    contact = shop.company.manager_contact
    return shop.manager_email or (contact.email if contact else "")
