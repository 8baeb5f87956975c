"""`GET deliveries`: the journal for programs, page by page."""

import base64
import binascii
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from ninja import Router

from backoffice.schemas.deliveries import DeliveriesOut, DeliveryOut
from backoffice.text import addresses
from notifications import readers
from notifications.api.auth import company_of
from notifications.api.describing import ACCEPT_LANGUAGE, described, parameter
from notifications.api.problems import answer, language_of
from notifications.api.requests import Reader, ask_scope, parameters
from notifications.core import catalogue
from notifications.journal import selectors as journal_selectors
from notifications.models import ApiToken, Delivery

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200

router = Router()

_TEXT = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}
LISTING_PARAMETERS = [
    {
        **parameter(
            "status",
            {"type": "array", "items": {"type": "string", "enum": Delivery.Status.values}},
            "Repeated, or a comma-separated list.",
        ),
        "style": "form",
        "explode": True,
    },
    parameter("notification", {"type": "string", "enum": list(catalogue.BY_CODE)}, "A code of the catalogue."),
    parameter("shop", {"type": "string", "pattern": "^[0-9]{8}$"}, "The shop's 8-digit identifier."),
    parameter("address", _TEXT, "A whole address; case and IDN spelling do not matter."),
    parameter("event", _TEXT, "An event's id."),
    parameter("since", _MOMENT, "Created at this time or later; with an offset."),
    parameter("until", _MOMENT, "Created before this time; with an offset."),
    parameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT}, "Rows a page."
    ),
    parameter("cursor", _TEXT, "The `next` of the page before; keep the filters the same."),
]


@router.get(
    "/deliveries",
    operation_id="deliveries",
    summary="What was sent, and what came of it, newest first",
    response=DeliveriesOut,
    by_alias=True,
    openapi_extra=described(422, parameters=[*LISTING_PARAMETERS, ACCEPT_LANGUAGE]),
)
def deliveries(request: HttpRequest) -> HttpResponse:
    ask_scope(request, ApiToken.Scope.DELIVERIES)
    asked = parameters(request, _PARAMETERS, lists=("status",))
    limit: int = asked.get("limit", DEFAULT_LIMIT)
    with translation.override(language_of(request)):
        rows = _after(_filtered(readers.deliveries_of(company_of(request)), asked), asked.get("cursor"))
        page = list(rows[: limit + 1])
    more = len(page) > limit
    page = page[:limit]
    return answer(DeliveriesOut(results=[_delivery(row) for row in page], next=_cursor(page[-1]) if more else None))


def _filtered(rows: QuerySet[Delivery], asked: dict[str, Any]) -> QuerySet[Delivery]:
    search = journal_selectors.Search(
        status=asked.get("status", []),
        notification=asked.get("notification", ""),
        shop=asked.get("shop", ""),
        since=asked.get("since"),
        until=asked.get("until"),
    )
    rows = journal_selectors.deliveries_filtered(rows, search)
    # A program names whole addresses and ids; the journal's search by parts is for people.
    if address := asked.get("address"):
        # A URL is kept as it was typed.
        rows = rows.filter(normalised_address__in={address, addresses.normalise(address)})
    if event := asked.get("event"):
        rows = rows.filter(event__event_id=event)
    return rows


def _delivery(row: Delivery) -> DeliveryOut:
    return DeliveryOut.model_validate(
        {
            "id": str(row.pk),
            "event": row.event.event_id,
            "notification": row.notification,
            "shop": row.shop.site_id if row.shop else None,
            "rule": row.rule.reference if row.rule else None,
            "address": row.address,
            "as": row.as_field,
            "channel": row.channel,
            "mode": row.mode,
            "status": row.status,
            "attempts": row.attempt_count,
            "created_at": row.created_at.astimezone(UTC),
            "sent_at": _utc(row.sent_at),
            "retry_at": None if row.digest_at else _utc(row.retry_at),
            "digest_at": _utc(row.digest_at),
            # A broadcast's message may be another company's.
            "carried_by": str(row.carried_by_id) if row.in_digest and row.carried_by_id else None,
            "http_status": row.http_status,
            "error": row.error or None,
        }
    )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _cursor(row: Delivery) -> str:
    return (
        base64.urlsafe_b64encode(f"{row.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ} {row.pk.hex}".encode())
        .decode()
        .rstrip("=")
    )


def _after(rows: QuerySet[Delivery], cursor: tuple[datetime, uuid.UUID] | None) -> QuerySet[Delivery]:
    """The rows below the cursor's; rows that arrive later stand above it and move nothing."""
    if cursor is None:
        return rows
    moment, key = cursor
    # The first condition alone is what an index can serve.
    return rows.filter(created_at__lte=moment).filter(Q(created_at__lt=moment) | Q(pk__lt=key))


def _status(value: str) -> list[str]:
    codes = list(dict.fromkeys(part.strip() for part in value.split(",")))
    bad = next((code for code in codes if code not in Delivery.Status.values), None)
    if bad == "":
        raise ValueError(_("valeur vide : ôtez le paramètre pour ne pas filtrer."))
    if bad is not None:
        raise ValueError(_("« %(value)s » n'est pas un état connu.") % {"value": bad[:100]})
    return codes


def _plain_text(value: str) -> str:
    if len(value) > 500 or "\x00" in value:
        raise ValueError(_("valeur trop longue ou illisible."))
    return value


def _address(value: str) -> str:
    """A whole e-mail address or notification URL, as rows have them."""
    text = _plain_text(value)
    if re.search(r"\s", text):
        # What a + becomes that nobody has escaped.
        raise ValueError(
            _("« %(value)s » contient une espace, qu'aucune adresse ne contient ; dans une URL, un + s'écrit %%2B.")
            % {"value": text[:100]}
        )
    if re.match(r"https?://", text, re.IGNORECASE):
        return text
    try:
        return addresses.validate(text)
    except addresses.InvalidAddress as error:
        raise ValueError(str(error)) from error


def _site_id(value: str) -> str:
    if not (len(value) == 8 and value.isascii() and value.isdigit()):
        raise ValueError(_("« %(value)s » n'est pas un identifiant boutique de 8 chiffres.") % {"value": value[:100]})
    return value


def _notification(value: str) -> str:
    if value not in catalogue.BY_CODE:
        raise ValueError(_("« %(value)s » n'est pas une notification connue.") % {"value": value[:100]})
    return value


def _moment(value: str) -> datetime:
    # An unescaped + arrives as a space.
    head, space, tail = value.rpartition(" ")
    text = f"{head}+{tail}" if space and "T" in head else value
    try:
        moment = parse_datetime(text)
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(
        _("« %(value)s » n'est pas une date ISO 8601 avec décalage horaire (2026-11-23T10:00:00Z).")
        % {"value": value[:100]}
    )


def _limit(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and 1 <= int(value) <= LARGEST_LIMIT):
        raise ValueError(_("un entier de 1 à %(largest)d est attendu.") % {"largest": LARGEST_LIMIT})
    return int(value)


def _read_cursor(value: str) -> tuple[datetime, uuid.UUID]:
    try:
        text = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True).decode("ascii")
        moment, _sep, key = text.partition(" ")
        return _moment(moment), uuid.UUID(hex=key)
    except (binascii.Error, ValueError) as error:
        raise ValueError(_("ce curseur ne vient pas de cette liste.")) from error


_PARAMETERS: dict[str, Reader] = {
    "status": _status,
    "notification": _notification,
    "shop": _site_id,
    "address": _address,
    "event": _plain_text,
    "since": _moment,
    "until": _moment,
    "limit": _limit,
    "cursor": _read_cursor,
}
