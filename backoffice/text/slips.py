"""Probable typing mistakes in e-mail addresses: a suggestion, never a refusal. Pure."""

import re
from functools import lru_cache

# Domains of many people whose misspellings are seen every day.
_DOMAINS = (
    "gmail.com", "googlemail.com", "hotmail.com", "hotmail.fr", "outlook.com", "outlook.fr", "yahoo.com", "yahoo.fr",
    "orange.fr", "wanadoo.fr", "laposte.net", "icloud.com", "numericable.fr", "protonmail.com", "bbox.fr",
)  # fmt: skip
# Domains that look like one of those and are themselves.
_OTHERS = frozenset(
    {
        "mail.com",
        "email.com",
        "ymail.com",
        "rocketmail.com",
        "hotmail.de",
        "hotmail.it",
        "yahoo.de",
        "yahoo.co",
        "bbox.ch",
    }
)
# What ends no domain, or hardly any, and what is meant by it.
_ENDINGS = {
    "con": "com", "cmo": "com", "ocm": "com", "comm": "com", "coom": "com", "vom": "com", "xom": "com", "cim": "com",
    "nte": "net", "ner": "net", "frr": "fr", "ffr": "fr", "orgg": "org", "rog": "org",
}  # fmt: skip
_MISSING_DOT = re.compile(r"\A(?P<name>[a-z0-9-]{3,})(?P<end>com|fr|net|org|eu)\Z")


def suggestion(address: str) -> str | None:
    """The address that was probably meant; None if there is no suggestion."""
    local, at, domain = address.strip().rpartition("@")
    meant = _meant(domain.lower()) if at and local else None
    return f"{local}@{meant}" if meant else None


@lru_cache(maxsize=512)
def _meant(domain: str) -> str | None:
    if domain in _DOMAINS or domain in _OTHERS:
        return None
    if "." not in domain:
        match = _MISSING_DOT.match(domain)
        return None if match is None else _known(f"{match['name']}.{match['end']}")
    name, _dot, ending = domain.rpartition(".")
    mended = f"{name}.{_ENDINGS[ending]}" if ending in _ENDINGS else domain
    near = next((known for known in _DOMAINS if _is_one_slip_away(mended, known)), mended)
    return None if near == domain else near


def _known(domain: str) -> str:
    """The domain, or the well-known one that it is a slip of."""
    return next((known for known in _DOMAINS if _is_one_slip_away(domain, known)), domain)


def _is_one_slip_away(typed: str, known: str) -> bool:
    """Whether one letter is missing, too many, another one, or two have changed places."""
    if typed == known or abs(len(typed) - len(known)) > 1:
        return False
    start = next((n for n, (a, b) in enumerate(zip(typed, known, strict=False)) if a != b), min(len(typed), len(known)))
    rest, wanted = typed[start:], known[start:]
    swapped = (
        len(rest) > 1 and len(wanted) > 1 and rest[0] == wanted[1] and rest[1] == wanted[0] and rest[2:] == wanted[2:]
    )
    return swapped or rest[1:] == wanted[1:] or rest == wanted[1:] or rest[1:] == wanted
