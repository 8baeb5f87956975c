"""Whether a user may change an address where it is configured."""

from collections.abc import Iterable

from companies.models import Membership, Status
from companies.rights import access, permissions
from companies.status import closed_sentence
from notifications.core.facts import CompanyFacts

# The right that changing an address of each role takes.
_NEEDED = {
    "shop_manager": permissions.EDIT_SETTINGS,
    "rule": permissions.MANAGE_RULES,
    "user": permissions.MANAGE_USERS,
    "sftp_account": permissions.MANAGE_USERS,
}


def may_replace(roles: Iterable[str], facts: CompanyFacts, membership: Membership) -> bool:
    """Whether the user may change an address at one of its places; a shop that inherits is none."""
    own = {shop.site_id for shop in facts.shops if shop.manager_email and shop.status != Status.CLOSED}
    open_shops = {shop.site_id for shop in facts.shops if shop.status != Status.CLOSED}
    return any(_may_change_at(role, own, open_shops, membership) for role in roles)


def _may_change_at(role: str, own: set[str], open_shops: set[str], membership: Membership) -> bool:
    kind, _colon, about = role.partition(":")
    needed = _NEEDED.get(kind, permissions.MANAGE_COMPANY)
    if needed not in permissions.SHOP_LEVEL:
        return access.can(membership, needed)
    site_id = about.partition("/")[0]
    if site_id not in (own if kind == "shop_manager" else open_shops) or closed_sentence(membership.company):
        return False
    return access.has_on_site(membership, needed, site_id)
