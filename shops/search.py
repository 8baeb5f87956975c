"""What the search of the top bar finds of shops and contracts."""

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from backoffice.base.searching import Group, Hit, few, group, joined, list_url
from companies.models import Membership, Status
from companies.rights import access
from shops import selectors


def shops(membership: Membership, text: str) -> list[Group]:
    """The shops with the text in their name, identifier or manager address."""
    named = access.shops_of(membership).filter(
        Q(name__icontains=text) | Q(site_id__contains=text) | Q(manager_email__icontains=text)
    )
    hits = [
        Hit(
            shop.name,
            reverse("shop_configuration", args=[shop.site_id]),
            joined(shop.site_id, "" if shop.status == Status.ACTIVE else shop.get_status_display()),
            is_exact=shop.site_id == text,
        )
        for shop in few(named)
    ]
    return group("shops", _("Boutiques"), hits, list_url("shops", q=text))


def contracts(membership: Membership, text: str) -> list[Group]:
    """The contracts with the text in their number."""
    named = selectors.contracts_of(membership).filter(number__icontains=text).order_by("number", "pk")
    hits = [
        Hit(
            contract.number,
            reverse("shop_contracts", args=[contract.shop.site_id]),
            joined(contract.network, contract.shop.name),
            is_exact=contract.number == text,
        )
        for contract in few(named)
    ]
    return group("contracts", _("Contrats"), hits, list_url("authentication", q=text))
