"""Names of servers, in mail addresses and URLs alike: their form on the wire, and what deceives (docs/rules.md 4.4).

IDNA 2008 as the `idna` package does it, after the mapping of UTS 46, non-transitional: `ß` and `ς`
stay themselves. Characters that would silently turn into others (full-width, circled, ligatures)
are named, for whoever checks what people type.

Pure: no database, no settings, no clock.
"""

import re
import unicodedata
from functools import lru_cache

import idna

from backoffice.text import characters

MAX_NAME, MAX_LABEL = 253, 63  # RFC 1035, 2.3.4
# Beyond this nobody means a name; what follows costs time with its length.
_LONGEST_READ = 1000
_DOTS = frozenset("\u3002\uff0e\uff61")


class BadHost(UnicodeError):
    """A name that is none under IDNA 2008."""


@lru_cache(maxsize=4096)
def to_ascii(name: str) -> str:
    """A name as it goes on the wire, in lower case. Raises BadHost; labels in ASCII pass unchecked."""
    if name.isascii():
        lowered = name.lower()
        if "xn--" not in lowered:
            return lowered
    if len(name) > _LONGEST_READ:
        raise BadHost("too long")
    try:
        mapped = idna.uts46_remap(unicodedata.normalize("NFC", name), std3_rules=False, transitional=False)
        return ".".join(_label(label) for label in mapped.split("."))
    except (idna.IDNAError, ValueError, IndexError) as error:
        raise BadHost(str(error)) from error


def _label(label: str) -> str:
    if label.isascii() and not label.startswith("xn--"):
        return label
    text = idna.ulabel(label) if label.isascii() else label
    return idna.alabel(text).decode("ascii")


def to_unicode(name: str) -> str:
    """The name as people write it, labels that cannot be read as they stand."""
    return ".".join(_readable(label) for label in name.split("."))


def _readable(label: str) -> str:
    if not label.lower().startswith("xn--"):
        return label
    try:
        return idna.ulabel(label)
    except (idna.IDNAError, ValueError, IndexError):
        return label


def disguised(name: str) -> str:
    """The characters of a typed name that turn into others on the wire, each once, in order.

    Full-width and half-width forms, circled and mathematical letters, ligatures, superscripts, the Kelvin
    sign, and dots that are none.
    """
    return "" if name.isascii() else "".join(dict.fromkeys(filter(_disguises, name)))


@lru_cache(maxsize=2048)
def _disguises(character: str) -> bool:
    if character.isascii():
        return False
    # Canonical twins are drawn alike and meant alike; the Kelvin sign alone becomes a plain letter.
    return character in _DOTS or character == "\u212a" or unicodedata.decomposition(character).startswith("<")


def named(disguised: str) -> str:
    """Characters with their codes, for a sentence: « ﬁ » (U+FB01), « ａ » (U+FF41)."""
    return ", ".join(f"« {character} » ({characters.name(character)})" for character in disguised[:5])


# --- Look-alikes ----------------------------------------------------------------------------------

# Letters of other scripts that are drawn like letters of ours: a name of nothing else reads as another one.
_LIKE_LATIN = frozenset("аеорсухіјѕԁԛԝһӏьвкмнтгпԍуқҝүґοαινυρτκχγωηεσμβδζօոսհցգզյլք")
# Scripts that are written together; Latin besides, as names and abbreviations stand in all of them.
_TOGETHER = tuple(map(frozenset, ({"CJK", "HIRAGANA", "KATAKANA"}, {"CJK", "BOPOMOFO"}, {"CJK", "HANGUL"})))
# Latin letters that are no plain letter with an accent and look like one, or like a sign of URLs.
_ODD_LATIN = re.compile(
    "[\u0131\u0138\u017f\u0180-\u019f\u01a2-\u01ae\u01b1-\u01cc\u01dd\u0220-\u0225\u0234-\u02af\u1d00-\u1dbf"
    "\ua720-\ua7ff\uab30-\uab6f]"
)
# Marks below a letter, which an underlined link swallows.
_BELOW = re.compile("[\u0323-\u0325\u0329-\u0333\u0339-\u033c\u0347-\u0349\u034d\u034e]")


def is_lookalike(name: str) -> bool:
    """Whether a name may be taken for another: a label that mixes scripts, or is drawn like plain letters."""
    if name.isascii() and "xn--" not in name.lower():
        return False
    labels = to_unicode(name).lower().split(".")
    return any(_deceives(unicodedata.normalize("NFC", label), labels[-1]) for label in labels)


def _deceives(label: str, ending: str) -> bool:
    letters = [character for character in label if character.isalpha()]
    scripts = {_script(character) for character in letters}
    others = scripts - {"LATIN"}
    if label.isascii():
        return False
    if others and (len(others) > 1 or "LATIN" in scripts):
        return not any(others <= together for together in _TOGETHER)
    if "LATIN" in scripts:
        below = ending != "vn" and _BELOW.search(unicodedata.normalize("NFD", label))
        # A mark that NFC could not join to its letter is drawn over it.
        return bool(_ODD_LATIN.search(label) or below) or any(unicodedata.category(one) == "Mn" for one in label)
    # In a domain that is itself of that script, nobody expects Latin.
    return bool(letters) and ending.isascii() and all(character in _LIKE_LATIN for character in letters)


@lru_cache(maxsize=2048)
def _script(character: str) -> str:
    script = unicodedata.name(character, "").partition(" ")[0]
    return {"IDEOGRAPHIC": "CJK", "KATAKANA-HIRAGANA": "KATAKANA"}.get(script, script)


def shown(name: str) -> str:
    """The name as it may be shown to people who are to trust it: a look-alike in its form on the wire."""
    try:
        return to_ascii(name) if is_lookalike(name) else name
    except BadHost:
        return name
