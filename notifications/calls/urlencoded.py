"""Bodies in the encoding of forms. Pure: no database, no settings, no clock."""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote_plus

# Text that the encoding leaves as it is: most names and values, so most need no quoting.
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")


def body(parameters: Iterable[tuple[str, str]]) -> bytes:
    """Names and values in their order."""
    plain = _PLAIN.fullmatch
    pairs = [f"{_name(name)}={text if plain(text) else _quoted(text)}" for name, text in parameters]
    return "&".join(pairs).encode("ascii")


@lru_cache(maxsize=1024)
def _name(name: str) -> str:
    return _quoted(name)


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote_plus(text, encoding="utf-8")
