"""Delivery tables with a date and a signature: the platform that made a copy can verify it later.

An HMAC under a key of this installation. JSON is signed by its content, whatever its spacing and the order of its
keys; other text as it stands, line ends aside.
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from notifications.timeline.moments import written

_LAST_LINE = re.compile(r"# signed_at=(\S+) signature=([0-9a-f]{64})")
_SIGNATURE = "signature"


@dataclass(frozen=True)
class Seal:
    """Date and signature of a signed copy, and whether they are valid."""

    signed_at: str
    is_valid: bool


def signed_document(document: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The document with `signed_at` and `signature`."""
    dated = {**document, "signed_at": written(now)}
    return {**dated, _SIGNATURE: _of_document(dated)}


def signing_line(text: str, now: datetime) -> str:
    """The last line that signs the text before it."""
    return f"# signed_at={written(now)} signature={_of_text(text, written(now))}"


def read_seal(content: str) -> Seal | None:
    """Read date and signature of a copy; None if it is not signed."""
    try:
        document = json.loads(content)
    except ValueError:
        return _seal_of_text(content)
    except RecursionError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get(_SIGNATURE), str):
        return None
    given = document.pop(_SIGNATURE)
    return Seal(str(document.get("signed_at", "")), _same(given, _of_document(document)))


def _seal_of_text(content: str) -> Seal | None:
    lines = content.rstrip().splitlines()
    match = _LAST_LINE.fullmatch(lines[-1].strip()) if lines else None
    if match is None:
        return None
    return Seal(match[1], _same(match[2], _of_text("\n".join(lines[:-1]), match[1])))


def _of_document(document: dict[str, Any]) -> str:
    return _digest("json", json.dumps(document, ensure_ascii=True, sort_keys=True, separators=(",", ":")))


def _of_text(text: str, signed_at: str) -> str:
    return _digest(f"text {signed_at}", "\n".join(text.rstrip().splitlines()))


def _digest(form: str, text: str) -> str:
    key = hashlib.sha256(b"signed delivery tables:" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, f"{form}\n{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _same(given: str, computed: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), computed.encode())
