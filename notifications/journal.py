"""What the pages of the journal share: the delivery asked for, search, and what a call shows."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils.encoding import force_str
from django.utils.translation import gettext as _

from companies import access, permissions
from companies.access import CompanyRequest

from . import addresses as address_rules
from . import calls, screens, selectors
from .catalogue import TABLE_ROWS
from .filters import JournalFilter
from .models import Delivery


def searched(found: QuerySet[Delivery], text: str) -> QuerySet[Delivery]:
    """Deliveries whose address, shop, notification, subject or event matches the text."""
    if not text:
        return found
    needle = screens.folded(text)
    codes = [row.code for row in TABLE_ROWS if needle in screens.folded(force_str(row.label))]
    return found.filter(
        Q(normalised_address__contains=address_rules.normalise(text))
        | Q(address__icontains=text)
        | Q(shop__name__icontains=text)
        | Q(shop__site_id__contains=text)
        | Q(event__event_id__icontains=text)
        | Q(message__subject__icontains=text)
        | Q(notification__in=codes)
    )


def delivery_or_404(request: CompanyRequest, key: UUID, permission: str = permissions.VIEW) -> Delivery:
    """A delivery the user may see; anything else is a plain 404.

    Raises:
        PermissionDenied: the user sees it but lacks `permission` on its shop.
    """
    found = selectors.deliveries(request.company, request.membership)
    delivery = (
        found.select_related("event", "shop", "rule", "message", "resend_of", "company", "carried_by")
        .filter(pk=key)
        .first()
    )
    if delivery is None:
        raise Http404
    if permission != permissions.VIEW and not access.can(request.membership, permission, delivery.shop):
        raise access.denied(request, delivery.shop)
    return delivery


def call_context(found: Delivery) -> dict[str, Any]:
    """What the page of a delivery shows of a call besides."""
    call = found.call or {}
    fields = call.get("fields") or {}
    return {
        "call_label": calls.status_label(found),
        "call_format": {"form": _("API formulaire V2"), "rest": _("API REST V4")}.get(call.get("format", ""), ""),
        "call_fields": sorted(fields.items()),
        "call_answer": call.get("answer"),
        "can_replay": found.status != Delivery.Status.SENDING and found.rule_id is not None,
        "profile": call.get("profile", ""),
    }


def replay_query(asked: JournalFilter) -> str:
    """The query string of the replay of what the journal shows."""
    values = {name: asked.data.get(name, "") for name in asked.NAMES}
    return urlencode({name: value for name, value in values.items() if value})
