"""What the search of the top bar finds of billing."""

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from backoffice.base.searching import Group, Hit, few, group, identifier, joined, list_url
from companies.models import Membership
from shops.billing import selectors, words


def documents(membership: Membership, text: str) -> list[Group]:
    """Invoices and credit notes by their number, or a part of it."""
    key = identifier(text)
    named = selectors.documents(membership).filter(Q(number__icontains=text) | (Q(pk=key) if key else Q(pk=None)))
    hits = [
        Hit(
            document.number,
            reverse("billing_document", args=[document.pk]),
            joined(document.get_kind_display(), words.amount(document.gross, document.currency), document.shop.name),
            is_exact=document.pk == key or document.number == text.upper(),
        )
        for document in few(named)
    ]
    return group("billing", _("Facturation"), hits, list_url("billing", q=text))
