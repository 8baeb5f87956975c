"""What the walkers send to the pages that change many settings at once."""

from django.urls import reverse

from backoffice.replacing.services import Replacement
from companies.audit import Actor, stamp
from companies.history.taking_back import token_of
from companies.models import User
from shops.models import Shop


def undo_link(user: User, shop: Shop) -> str:
    """The link « Annuler » after a user replaced the manager address of a shop."""
    replacement = Replacement(shop.company, shop.manager_email, "autre@mienne.example", Actor("moi", user))
    return reverse("undo", args=[token_of(user.memberships.get(), replacement.carry_out().entries)])


def rows_of(shop: Shop) -> dict[str, str]:
    """A file that renames a shop, as the page sends it to be saved."""
    return {"content": f"site_id,name\n{shop.site_id},Autre\n", "seen": stamp((shop.site_id, shop.version))}
