"""How much one request may ask for: the bounds on counts and lengths that are asked before any work is done.

Pure: no database, no settings. A bound that the framework or the server enforces is a setting
(`DATA_UPLOAD_MAX_MEMORY_SIZE`, `FORM_MAX_BODY_BYTES`, `API_MAX_BODY_BYTES`, `API_MAX_EVENTS`).
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

T = TypeVar("T")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# Addresses in one list: incident contacts, recipients of a rule or of an order.
MAX_ADDRESSES = 500
# Conditions of a rule, and values in the list of one.
MAX_CONDITIONS = 40
MAX_CONDITION_VALUES = 1_000
# Identifiers of shops and references of companies that staff type into one field.
MAX_NAMES = 5_000
# Levels of a JSON document.
MAX_DEPTH = 32
# Errors told one by one; the rest is counted.
MAX_ERRORS = 20
# Shops, contracts, rules and accounts in one document over HTTP; an operator's file may have more.
MAX_DOCUMENT_OBJECTS = 5_000
# Accounts that one document may open, change or disable over HTTP; each costs some milliseconds, a hundred times a rule.
MAX_ACCOUNTS = 300
# Errors of one provisioning file: an operator mends a file by them, so more than a page shows.
MAX_FILE_ERRORS = 500
# Characters of a field that states no bound of its own.
LONGEST_TEXT = 20_000
# Characters of a field that nobody types: versions, seals, what a page carries along.
LONGEST_HIDDEN = 5_000
# Characters of a typed list: a hundred for each address.
LONGEST_LIST = 60_000
# Characters of the query of a page; servers in front of us take 8 KiB of a whole request line.
LONGEST_QUERY = 16_384
# What one form may bring back of what was typed, in characters, so that an answer stays below 2 MB however it is
# escaped: a quotation mark takes six bytes on the page.
LONGEST_ECHO = 150_000
# Bytes that the reasons of one list of events may take in the answer.
LONGEST_REASONS = 400_000


def summed_up(messages: Sequence[T]) -> tuple[list[T], int]:
    """Return the messages to show one by one, and the number of the others."""
    return list(messages[:MAX_ERRORS]), max(0, len(messages) - MAX_ERRORS)


def and_others(count: int) -> str:
    """What stands after the errors told one by one."""
    return ngettext("… et %(count)s autre.", "… et %(count)s autres.", count) % {"count": grouped(count)}


def told(messages: Sequence[str]) -> list[str]:
    """The messages of one place as they are shown: the first ones, then how many others."""
    first, others = summed_up(messages)
    return [*first, and_others(others)] if others else first


def too_many(count: int, most: int = MAX_ADDRESSES) -> str:
    """A list of addresses is refused for its length, before any of them is looked at."""
    return _("%(count)s adresses : cette liste en compte %(most)s au plus.") % {
        "count": grouped(count),
        "most": grouped(most),
    }


def too_long(length: int, longest: int) -> str:
    """A text is refused for its length."""
    return _("%(count)s caractères : ce champ en compte %(most)s au plus.") % {
        "count": grouped(length),
        "most": grouped(longest),
    }


def named(value: Any, longest: int) -> str:
    """A refused value of a JSON document as it is named in a message; no more of it is written than is shown."""
    if isinstance(value, str):
        text = json.dumps(value[: longest + 1], ensure_ascii=False)
        return text if len(value) <= longest and len(text) <= longest else text[: longest - 1] + "…"
    pieces, length = [], 0
    # Lazy, unlike `dumps`: a list may hold a hundred thousand items.
    for piece in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
        pieces.append(piece[: longest + 1])
        length += len(piece)
        if length > longest:
            return "".join(pieces)[: longest - 1] + "…"
    return "".join(pieces)


def check_json(value: Any, depth: int = 0) -> None:
    """ValueError for what is nested too deep, and for text that no database or no mail can hold."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deep")
    if isinstance(value, str):
        if "\x00" in value or (not value.isascii() and _LONE_SURROGATE.search(value)):
            raise ValueError("no text")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("no number")
    elif isinstance(value, (list, dict)):
        for item in value if isinstance(value, list) else [*value, *value.values()]:
            check_json(item, depth + 1)


def grouped(number: int) -> str:
    """A count as people read it: 99 980."""
    return number_format(number, 0, force_grouping=True)
