"""Events from outside: reading JSON strictly and validating it (docs/rules.md 7.2).

Used by the API and by the `publish` command, so that both refuse the same things in the same words.
"""

import codecs
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _
from pydantic import ValidationError

from backoffice.base import limits, logs
from backoffice.base.rows import Reading, join
from backoffice.schemas.base import MISSING, REFUSED, UNKNOWN_KEY, flaws
from backoffice.schemas.events import EventIn, cut
from companies.models import Company
from shops.models import Shop

MAX_DEPTH = 32
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class NotJson(ValueError):
    """The text is not strict JSON in UTF-8; the message says what is wrong."""


class EventInvalid(ValueError):
    """An event that breaks the rules; `errors` is a list of (field, message), the first ones and how many others."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        self.errors, others = limits.summed_up(errors)
        if others:
            self.errors.append(("", limits.and_others(others)))
        super().__init__("; ".join(f"{name}: {message}" if name else message for name, message in self.errors))


class EventConflict(ValueError):
    """The event id was accepted before with another body."""

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        super().__init__(_("id : l'événement « %(id)s » a déjà été accepté avec un autre contenu.") % {"id": event_id})


def parse_json(raw: bytes) -> Any:
    """Decode strict JSON: UTF-8 with or without its mark, no NaN or Infinity, no NUL, no lone surrogate, no key twice, bounded depth.

    Raises NotJson.
    """
    # What Windows writes in front of a text; a reader may ignore it (RFC 8259, 8.1).
    start = len(codecs.BOM_UTF8) if raw.startswith(codecs.BOM_UTF8) else 0
    try:
        text = raw[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        position = start + error.start
        raise NotJson(_("Le contenu n'est pas en UTF-8 (octet %(position)d).") % {"position": position}) from error
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
    """Refuse two values under one key: another reader of the body may take the other one (RFC 8259, 4)."""
    keys: dict[str, Any] = {}
    for key, value in pairs:
        if key in keys:
            # As ASCII: the key may hold what no answer can.
            raise NotJson(_("La clé %(key)s figure deux fois.") % {"key": json.dumps(key[:40])})
        keys[key] = value
    return keys


def _refuse_constant(name: str) -> Any:
    raise NotJson(_("« %(name)s » n'est pas une valeur JSON.") % {"name": name})


def _check_text(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotJson(_("Le JSON est trop profondément imbriqué."))
    if isinstance(value, str):
        if "\x00" in value:
            raise NotJson(_("Le JSON contient un caractère NUL."))
        if not value.isascii() and _LONE_SURROGATE.search(value):
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
    # Of the request that brought it: another one may be the one to write it.
    request_id: str = field(default_factory=logs.request_id, compare=False)

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

    def shop_of(self, shops: dict[str, Shop]) -> Shop:
        """The shop among those that `shops_of` gave for this event and others. Raises EventInvalid.

        A stranger's shop reads exactly like an unknown one.
        """
        shop = shops.get(self.site_id)
        if shop is None:
            raise self.unknown_shop()
        return shop

    def unknown_shop(self) -> EventInvalid:
        """What to say where the sender has no such shop."""
        return EventInvalid(
            [("site_id", _("aucune boutique ne porte l'identifiant « %(value)s ».") % {"value": self.site_id})]
        )


def shops_of(site_ids: Iterable[str], company: Company | None) -> dict[str, Shop]:
    """Return the shops by identifier, within `company` if given; many events of one shop ask once."""
    known = _SHOPS.all(site_ids)
    shops = [shop for shop in known if company is None or shop.company_id == company.pk]
    join(shops, "company", _COMPANIES)
    return {shop.site_id: shop for shop in shops}


_SHOPS: Reading[Shop] = Reading(Shop, by="site_id")
_COMPANIES: Reading[Company] = Reading(Company)


def existing(site_ids: Iterable[str], company: Company | None) -> set[str]:
    """Those of the identifiers that a shop has, within `company` if given."""
    shops = Shop.objects.filter(site_id__in=set(site_ids))
    if company is not None:
        shops = shops.filter(company=company)
    return set(shops.values_list("site_id", flat=True))


def validate_event(body: Any) -> ValidEvent:
    """Check every rule of an event's form at once. Raises EventInvalid with all errors."""
    if not isinstance(body, dict):
        raise EventInvalid([("", _("un événement est un objet JSON."))])
    try:
        event = EventIn.model_validate(body)
    except ValidationError as refused:
        raise EventInvalid(_errors(refused)) from refused
    # The data as they came: their keys, known or not, are part of what makes two events the same.
    return ValidEvent(event.id, event.type, event.site_id, event.mode, event.occurred_at, body.get("data", {}))


def _errors(refused: ValidationError) -> list[tuple[str, str]]:
    """(field, message) of everything that is wrong with an event."""
    # The words once: there may be a hundred thousand such fields.
    words = {UNKNOWN_KEY: _("champ inconnu."), MISSING: _("champ obligatoire.")}
    not_an_object = _("un objet JSON est attendu.")
    errors = []
    for number, flaw in enumerate(flaws(refused)):
        if flaw.kind == UNKNOWN_KEY:
            name = cut(flaw.where[0]) if number < limits.MAX_ERRORS else ""
        else:
            name = ".".join(map(str, flaw.where))
        message = flaw.message if flaw.kind == REFUSED else words.get(flaw.kind, not_an_object)
        errors.append((name, message))
    return errors
