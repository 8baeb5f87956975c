"""Values of events as the text of fields of calls; "" stands for what is none (docs/ipn.md).

Pure: no database, no settings, no clock.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from backoffice.text.currencies import CURRENCIES

Reader = Callable[[Any], str]


# What frameworks trim, which for some includes the invisible characters that pasted text begins with.
_EDGES = re.compile(r"\A[\s\ufeff\u200b\u200e]+|[\s\ufeff\u200b\u200e]+\Z")


def text_of(value: Any) -> str:
    """Text or an integer as text; "" for anything else.

    Surrounding spaces go: widespread web frameworks trim form fields before the receiver sees
    them, and a signature over the spaces would then not match.
    """
    return _EDGES.sub("", exact_text(value))


def exact_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    # Half of a surrogate pair has no UTF-8 form; events with one are refused before they come here.
    return str(value).encode("utf-8", "replace").decode()


def number(value: Any) -> str:
    text = text_of(value)
    return str(int(text)) if re.fullmatch(r"[0-9]{1,15}", text) else ""


def flag(value: Any) -> str:
    return {True: "1", False: "0", "1": "1", "0": "0"}.get(value, "") if isinstance(value, bool | int | str) else ""


def card(value: Any) -> str:
    """A card number with at most its first six and last four digits, X between: 497010XXXXXX0055."""
    text = re.sub(r"[ -]", "", value) if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9Xx*•]{8,23}", text):
        return ""
    text = re.sub(r"[^0-9]", "X", text)
    first = 6 if len(text) >= 13 else 0
    return text[:first] + "X" * (len(text) - first - 4) + text[-4:]


def moment(value: Any) -> str:
    """A date and time as YYYYMMDDHHMMSS in UTC, from that form or from ISO 8601 with its offset."""
    try:
        text = text_of(value)
        if re.fullmatch(r"[0-9]{14}", text):
            return compact(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC))
        read = datetime.fromisoformat(text)
        return compact(read) if read.tzinfo else ""
    except (ValueError, OverflowError):
        return ""


def compact(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}{utc:%m%d%H%M%S}"


def day(value: Any) -> str:
    """A day as YYYYMMDD, from that form or from ISO 8601."""
    try:
        read = date.fromisoformat(text_of(value))
    except ValueError:
        return ""
    return f"{read.year:04}{read:%m%d}"


def currency(value: Any) -> str:
    """The numeric code of an alphabetic or numeric ISO 4217 code."""
    text = text_of(value).upper()
    if text in CURRENCIES:
        return CURRENCIES[text].numeric
    return text if text in ALPHABETIC else ""


# Where several codes ever shared a number, the current one: the table lists the retired ones last.
ALPHABETIC = {currency.numeric: code for code, currency in reversed(CURRENCIES.items())}


def json_value(value: Any) -> str:
    return json_text(value) if isinstance(value, list | dict) and value else text_of(value)


def one_of(*values: str) -> Reader:
    def read(value: Any) -> str:
        text = text_of(value).upper()
        return text if text in values else ""

    return read


def json_text(value: Any) -> str:
    r"""JSON that hashes alike at every receiver.

    Receivers turn `\/` into `/` before hashing, and some strip backslashes: so a slash is never
    escaped, a backslash of a value is written \u005c (a slash after it would look escaped), and
    letters outside ASCII stand as they are, so that only quotes and control characters cost a
    backslash.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("\\\\", "\\u005c")
