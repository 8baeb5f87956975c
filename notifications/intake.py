"""Events from outside: reading JSON strictly and validating it (DESIGN 7, Event).

Used by the API and by the `publish` command, so that both refuse the same things in the same words.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from companies.models import Company
from shops.models import Shop

from .catalogue import EXTERNAL_TYPES, MODES, SOURCES_OF_EVENT, TRIGGER_ORDER

FIELDS = ("id", "type", "site_id", "mode", "occurred_at", "data", "version")
MAX_DEPTH = 32
MAX_AMOUNT = 10**12


class NotJson(ValueError):
    """The text is not strict JSON in UTF-8; the message says what is wrong."""


class EventInvalid(ValueError):
    """An event that breaks the rules; `errors` is a list of (field, message)."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{name}: {message}" for name, message in errors))


class EventConflict(ValueError):
    """The event id was accepted before with another body."""

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        super().__init__(_("id : l'événement « %(id)s » a déjà été accepté avec un autre contenu.") % {"id": event_id})


def parse_json(raw: bytes) -> Any:
    """Decode strict JSON: UTF-8, no NaN or Infinity, no NUL, no lone surrogate, no key twice, bounded depth.

    Raises NotJson.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(_("Le contenu n'est pas en UTF-8 (octet %(position)d).") % {"position": error.start}) from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_keys_once)
    except RecursionError as error:
        raise NotJson(_("Le JSON est trop profondément imbriqué.")) from error
    except NotJson:
        raise
    except ValueError as error:
        raise NotJson(_("Le contenu n'est pas du JSON : %(detail)s.") % {"detail": error}) from error
    _check_text(value, 0)
    return value


def _keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values under one key are refused: whoever else reads the body may take the other one (RFC 8259, 4)."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            # As ASCII: the key may hold what no answer can.
            raise NotJson(_("La clé %(key)s figure deux fois.") % {"key": json.dumps(key[:40])})
        found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise NotJson(_("« %(name)s » n'est pas une valeur JSON.") % {"name": name})


def _check_text(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotJson(_("Le JSON est trop profondément imbriqué."))
    if isinstance(value, str):
        if "\x00" in value:
            raise NotJson(_("Le JSON contient un caractère NUL."))
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise NotJson(_("Le JSON contient un demi-caractère Unicode isolé."))
    elif isinstance(value, list):
        for item in value:
            _check_text(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, depth + 1)
            _check_text(item, depth + 1)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise NotJson(_("Le JSON contient un nombre trop grand."))


@dataclass(frozen=True)
class ValidEvent:
    """An event whose form is right; whether the shop exists is asked of the database."""

    id: str
    type: str
    site_id: str
    mode: str
    occurred_at: datetime
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def body_hash(self) -> str:
        """Digest of the validated content: key order, spacing and offset notation do not matter."""
        content = {
            "id": self.id,
            "type": self.type,
            "site_id": self.site_id,
            "mode": self.mode,
            "occurred_at": self.occurred_at.astimezone(UTC).isoformat(),
            "data": self.data,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def shop_of(self, company: Company | None) -> Shop:
        """The shop, within `company` if given. A stranger's shop reads exactly like an unknown one."""
        shops = Shop.objects.select_related("company").filter(site_id=self.site_id)
        if company is not None:
            shops = shops.filter(company=company)
        shop = shops.first()
        if shop is None:
            raise EventInvalid(
                [("site_id", _("aucune boutique ne porte l'identifiant « %(value)s ».") % {"value": self.site_id})]
            )
        return shop


def validate_event(body: Any) -> ValidEvent:
    """Check every rule of an event's form at once. Raises EventInvalid with all errors."""
    if not isinstance(body, dict):
        raise EventInvalid([("", _("un événement est un objet JSON."))])
    errors: list[tuple[str, str]] = []

    def refuse(name: str, message: str) -> None:
        errors.append((name, message))

    for name in body:
        if name not in FIELDS:
            refuse(_cut(name), _("champ inconnu."))
    version = body.get("version", 1)
    if version != 1 or isinstance(version, (bool, float)):
        refuse(
            "version",
            _("la version %(value)s n'est pas prise en charge ; seule la version 1 l'est.") % {"value": _cut(version)},
        )

    def text(name: str, longest: int) -> str:
        value = body.get(name)
        if name not in body or value is None:
            refuse(name, _("champ obligatoire."))
        elif not isinstance(value, str):
            refuse(name, _("un texte est attendu, pas « %(value)s ».") % {"value": _cut(value)})
        elif not value.strip():
            refuse(name, _("champ obligatoire."))
        elif len(value) > longest:
            refuse(name, _("%(longest)d caractères au plus.") % {"longest": longest})
        else:
            return value
        return ""

    event_id = text("id", 200)
    event_type = text("type", 60)
    if event_type and event_type not in EXTERNAL_TYPES:
        if event_type in TRIGGER_ORDER:
            refuse("type", _("« %(value)s » est réservé au back office.") % {"value": event_type})
        else:
            refuse("type", _("« %(value)s » n'est pas un type d'événement connu.") % {"value": _cut(event_type)})
    site_id = text("site_id", 200)
    if site_id and not (len(site_id) == 8 and site_id.isascii() and site_id.isdigit()):
        refuse(
            "site_id", _("« %(value)s » n'est pas un identifiant boutique de 8 chiffres.") % {"value": _cut(site_id)}
        )
    mode = text("mode", 200)
    if mode and mode not in MODES:
        refuse("mode", _("« %(value)s » n'est ni TEST ni PRODUCTION.") % {"value": _cut(mode)})
    occurred_text = text("occurred_at", 60)
    occurred_at = _moment(occurred_text) if occurred_text else None
    if occurred_text and occurred_at is None:
        refuse(
            "occurred_at",
            _("« %(value)s » n'est pas une date ISO 8601 avec décalage horaire (2026-11-23T10:00:00Z).")
            % {"value": _cut(occurred_text)},
        )
    data = body.get("data", {})
    if not isinstance(data, dict):
        refuse("data", _("un objet JSON est attendu."))
    else:
        _check_data(data, refuse)
    if errors or occurred_at is None:
        raise EventInvalid(errors)
    return ValidEvent(event_id, event_type, site_id, mode, occurred_at, data)


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
        # A date at the edge of the calendar has no UTC form.
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _check_data(data: dict[str, Any], refuse: Any) -> None:
    amount = data.get("amount")
    if amount is not None and (
        isinstance(amount, bool) or not isinstance(amount, int) or not 0 <= amount <= MAX_AMOUNT
    ):
        refuse(
            "data.amount",
            _("« %(value)s » n'est pas un montant : un entier positif, en plus petite unité, est attendu.")
            % {"value": _cut(amount)},
        )
    currency = data.get("currency")
    if currency is not None and not (
        isinstance(currency, str)
        and len(currency) == 3
        and currency.isascii()
        and currency.isalpha()
        and currency.isupper()
    ):
        refuse(
            "data.currency", _("« %(value)s » n'est pas un code de devise ISO 4217 (EUR).") % {"value": _cut(currency)}
        )
    source = data.get("source")
    if source is not None and (not isinstance(source, str) or source not in SOURCES_OF_EVENT):
        refuse("data.source", _("« %(value)s » n'est pas une source d'événement connue.") % {"value": _cut(source)})
    instalments = data.get("instalments")
    if instalments is not None and not isinstance(instalments, bool):
        refuse("data.instalments", _("« %(value)s » n'est ni true ni false.") % {"value": _cut(instalments)})
    for name in ("transaction_id", "order_id", "buyer_email", "network", "contract"):
        value = data.get(name)
        if value is not None and not isinstance(value, str):
            refuse(f"data.{name}", _("un texte est attendu, pas « %(value)s ».") % {"value": _cut(value)})
        elif isinstance(value, str) and len(value) > 500:
            refuse(f"data.{name}", _("%(longest)d caractères au plus.") % {"longest": 500})


def _cut(value: Any) -> str:
    """A refused value as it is named in a message: printable and short."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    visible = "".join(character if character.isprintable() else "�" for character in text[:101])
    return visible if len(text) <= 100 else visible[:99] + "…"
