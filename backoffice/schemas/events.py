"""Events of the payment platform (docs/rules.md 7.2): what one looks like, and what became of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field

from backoffice.base import limits
from backoffice.schemas.base import Checked, Shape, or_null, refused
from backoffice.schemas.problems import FieldError
from notifications.core.catalogue import EXTERNAL_TYPES, MODES, SOURCES_OF_EVENT, TRIGGER_ORDER

LONGEST_ID = 200
LONGEST_DATA = 500
MAX_AMOUNT = 10**12


def cut(value: Any) -> str:
    """A refused value as it is named in a message: printable and short."""
    text = value if isinstance(value, str) else limits.named(value, 101)
    visible = "".join(character if character.isprintable() else "�" for character in text[:101])
    return visible if len(text) <= 100 else visible[:99] + "…"


def is_site_id(text: Any) -> bool:
    """Whether a value has the form of a shop's identifier."""
    return isinstance(text, str) and len(text) == 8 and text.isascii() and text.isdigit()


# --- Fields ---------------------------------------------------------------------------------------


def _text(value: Any, longest: int) -> str:
    if value is None:
        raise refused(_("champ obligatoire."))
    if not isinstance(value, str):
        raise refused(_("un texte est attendu, pas « %(value)s ».") % {"value": cut(value)})
    if not value.strip():
        raise refused(_("champ obligatoire."))
    if len(value) > longest:
        raise refused(_("%(longest)d caractères au plus.") % {"longest": longest})
    return value


def _id(value: Any) -> str:
    return _text(value, LONGEST_ID)


def _type(value: Any) -> str:
    text = _text(value, 60)
    if text in EXTERNAL_TYPES:
        return text
    if text in TRIGGER_ORDER:
        raise refused(_("« %(value)s » est réservé au back office.") % {"value": text})
    raise refused(_("« %(value)s » n'est pas un type d'événement connu.") % {"value": cut(text)})


def _site_id(value: Any) -> str:
    text = _text(value, 200)
    if not is_site_id(text):
        raise refused(_("« %(value)s » n'est pas un identifiant boutique de 8 chiffres.") % {"value": cut(text)})
    return text


def _mode(value: Any) -> str:
    text = _text(value, 200)
    if text not in MODES:
        raise refused(_("« %(value)s » n'est ni TEST ni PRODUCTION.") % {"value": cut(text)})
    return text


def _moment(value: Any) -> datetime:
    text = _text(value, 60)
    try:
        moment = parse_datetime(text)
        # A date at the edge of the calendar has no UTC form.
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise refused(
        _("« %(value)s » n'est pas une date ISO 8601 avec décalage horaire (2026-11-23T10:00:00Z).")
        % {"value": cut(text)}
    )


def _version(value: Any) -> int:
    if value != 1 or isinstance(value, (bool, float)):
        raise refused(
            _("la version %(value)s n'est pas prise en charge ; seule la version 1 l'est.") % {"value": cut(value)}
        )
    return 1


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _amount(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_AMOUNT:
        raise refused(
            _("« %(value)s » n'est pas un montant : un entier positif, en plus petite unité, est attendu.")
            % {"value": cut(value)}
        )
    return value


def _currency(value: Any) -> str:
    if not (isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()):
        raise refused(_("« %(value)s » n'est pas un code de devise ISO 4217 (EUR).") % {"value": cut(value)})
    return value


def _source(value: Any) -> str:
    if not isinstance(value, str) or value not in SOURCES_OF_EVENT:
        raise refused(_("« %(value)s » n'est pas une source d'événement connue.") % {"value": cut(value)})
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise refused(_("« %(value)s » n'est ni true ni false.") % {"value": cut(value)})
    return value


def _data_text(value: Any) -> str:
    if not isinstance(value, str):
        raise refused(_("un texte est attendu, pas « %(value)s ».") % {"value": cut(value)})
    if len(value) > LONGEST_DATA:
        raise refused(_("%(longest)d caractères au plus.") % {"longest": LONGEST_DATA})
    return value


DataText = Annotated[str | None, Checked(_optional(_data_text), or_null({"type": "string", "maxLength": LONGEST_DATA}))]

# --- Events ---------------------------------------------------------------------------------------


class EventData(BaseModel):
    """What is known of a payment. Other keys are kept as they are."""

    model_config = ConfigDict(strict=True, extra="allow")

    amount: Annotated[
        int | None, Checked(_optional(_amount), or_null({"type": "integer", "minimum": 0, "maximum": MAX_AMOUNT}))
    ] = None
    currency: Annotated[
        str | None, Checked(_optional(_currency), or_null({"type": "string", "pattern": "^[A-Z]{3}$"}))
    ] = None
    source: Annotated[
        str | None, Checked(_optional(_source), or_null({"type": "string", "enum": list(SOURCES_OF_EVENT)}))
    ] = None
    instalments: Annotated[bool | None, Checked(_optional(_truth), or_null({"type": "boolean"}))] = None
    transaction_id: DataText = None
    order_id: DataText = None
    buyer_email: DataText = None
    network: DataText = None
    contract: DataText = None


class EventIn(Shape):
    """An event of the payment platform. Other fields are refused; other keys of `data` are kept."""

    id: Annotated[str, Checked(_id, {"type": "string", "minLength": 1, "maxLength": LONGEST_ID})]
    type: Annotated[str, Checked(_type, {"type": "string", "enum": sorted(EXTERNAL_TYPES)})]
    site_id: Annotated[str, Checked(_site_id, {"type": "string", "pattern": "^[0-9]{8}$"})]
    mode: Annotated[str, Checked(_mode, {"type": "string", "enum": list(MODES)})]
    occurred_at: Annotated[datetime, Checked(_moment, {"type": "string", "format": "date-time"})]
    data: EventData = Field(default_factory=EventData)
    version: Annotated[int, Checked(_version, {"type": "integer", "const": 1})] = 1


class EventOut(Shape):
    """What became of one event."""

    id: str
    status: Literal["accepted", "duplicate"]


class EventResult(Shape):
    """`error` sums `errors` up; both are null unless the event was rejected."""

    index: int
    id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    error: str | None
    errors: list[FieldError] | None


class EventsOut(Shape):
    """What became of each event of a list."""

    accepted: int
    duplicate: int
    rejected: int
    results: list[EventResult]
