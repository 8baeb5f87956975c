"""Characters that show nothing, or another text than is written: found, named, made harmless; bytes as text.

Text that people type and other people read holds what can be seen, and nothing that hides or reorders it.
Scripts that need unseen characters keep them where they are part of writing: joiners inside words of
Persian or Sinhala and inside emoji, variation selectors behind what they vary, directional marks in
a text that has right-to-left letters.

Pure: no database, no settings, no clock.
"""

import codecs
import re
import unicodedata
from functools import lru_cache

from django.utils.translation import gettext as _

# Every character at which some mail reader or library would start a line.
LINE_ENDS = re.compile("\r\n|[\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
# Marks, embeddings, overrides and isolates of direction.
DIRECTION_MARKS = frozenset("\u200e\u200f\u061c")
ZWNJ, ZWJ = "\u200c", "\u200d"
_JOINERS = frozenset((ZWNJ, ZWJ))
# Format characters (Cf) that are drawn: signs that enclose the digits after them.
_DRAWN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
# Drawn as nothing although they count as letters, marks or symbols (most of Default_Ignorable_Code_Point).
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U0001d159"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f]")
# Scripts whose words hold joiners, by the first word of their letters' names.
_JOINING_SCRIPTS = frozenset(
    (
        "ARABIC", "SYRIAC", "MANDAIC", "MONGOLIAN", "NKO", "ADLAM", "HANIFI", "PHAGS-PA", "SOGDIAN", "CHORASMIAN",
        "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA",
        "TIBETAN", "MYANMAR", "KHMER", "BALINESE", "JAVANESE", "SUNDANESE", "LIMBU", "LEPCHA", "MEETEI", "CHAKMA",
        "BRAHMI", "KAITHI", "SHARADA", "GRANTHA", "NEWA", "TIRHUTA", "SIDDHAM", "MODI", "TAKRI", "SAURASHTRA", "SYLOTI",
    )
)  # fmt: skip
_EMOJI_PARTS = frozenset(("So", "Sk", "Sm"))
# What may need a closer look; everything else is seen by everybody.
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U000e0000-\U0010ffff]"
)


def name(character: str) -> str:
    """The code of a character as people look it up, e.g. « U+202E »."""
    return f"U+{ord(character):04X}"


def first_hidden(text: str) -> str:
    """The first character of a text that hides or reorders it, commands or has no meaning; else empty.

    Tabs and line feeds pass: whether a text may have lines is another question.
    """
    if text.isascii() and text.isprintable():
        return ""
    for match in _SUSPECT.finditer(text):
        if not _belongs(text, match.start(), marks=True):
            return match[0]
    return ""


def kind(character: str) -> str:
    """What a hidden character is, in the active language."""
    if unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"):
        return _("un caractère qui change le sens de lecture")
    match unicodedata.category(character):
        case "Cs":
            return _("un demi-caractère Unicode isolé")
        case "Cc":
            return _("un caractère de commande")
    return _("un caractère que l'on ne voit pas")


def in_lines(text: str) -> str:
    """Normalise line ends to line feeds."""
    return LINE_ENDS.sub("\n", text)


def legible(text: str, *, instead: str = " ", lines: bool = False) -> str:
    """Replace characters that hide, reorder or command; keep joiners inside words and emoji.

    Args:
        instead: takes the place of an unseen character; one that ends a line or commands becomes a space.
        lines: line feeds stay.
    """
    if text.isprintable() and (text.isascii() or not _SUSPECT.search(text)):
        return text
    kept = []
    for place, character in enumerate(text):
        kind = unicodedata.category(character)
        if character == "\n" and lines:
            kept.append(character)
        elif kind in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif kind == "Cn" or (_SUSPECT.match(character) and not _belongs(text, place, marks=False)):
            kept.append(instead)
        else:
            kept.append(character)
    return "".join(kept)


def one_line(text: str) -> str:
    """`legible` text on one line, every run of blanks one space."""
    return " ".join(legible(text).split())


def _belongs(text: str, place: int, *, marks: bool) -> bool:
    """Whether a suspect character is part of writing where it stands."""
    character = text[place]
    if character in _DRAWN:
        return True
    if character in _JOINERS:
        return _joins(text, place)
    if character in DIRECTION_MARKS:
        return marks and any(
            unicodedata.bidirectional(other) in ("R", "AL") for other in text if other not in DIRECTION_MARKS
        )
    if _SELECTORS.match(character):
        return place > 0 and _varies(text[place - 1], character)
    if character == "\u180e":
        return 0 < place < len(text) - 1 and all(_script(text[at]) == "MONGOLIAN" for at in (place - 1, place + 1))
    return False


def _joins(text: str, place: int) -> bool:
    """Whether a joiner stands inside a word of a script that needs it, or inside an emoji."""
    if not 0 < place < len(text) - 1:
        return False
    before, after = text[place - 1], text[place + 1]
    if text[place] == ZWJ and _is_emoji(after) and _is_emoji(before, selector=place > 1):
        return True
    return _script(before) in _JOINING_SCRIPTS and _script(after) in _JOINING_SCRIPTS


def _is_emoji(character: str, *, selector: bool = False) -> bool:
    return (selector and character == "\ufe0f") or (
        ord(character) >= 0x2190 and unicodedata.category(character) in _EMOJI_PARTS
    )


@lru_cache(maxsize=2048)
def _script(character: str) -> str:
    """The first word of the name of a letter or mark; empty for anything else."""
    if unicodedata.category(character)[0] not in "LM":
        return ""
    return unicodedata.name(character, "").partition(" ")[0]


def _varies(before: str, selector: str) -> bool:
    """Whether a variation selector follows something that has variants."""
    if "\u180b" <= selector <= "\u180f":
        return _script(before) == "MONGOLIAN" and unicodedata.category(before) == "Lo"
    if selector in "\ufe0e\ufe0f":
        # Emoji and what may be drawn as one: digits of keycaps, arrows, ‼ and ℹ, chess, CJK circles.
        return before in "#*0123456789\u2139\u203c\u2049\u3030\u303d" or unicodedata.category(before) in _EMOJI_PARTS
    return _script(before) in ("CJK", "MYANMAR", "PHAGS-PA") or unicodedata.category(before) == "Sm"


# --- Bytes of others ------------------------------------------------------------------------------

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# Labels of the Encoding Standard that are read as something else than they say.
_READ_AS = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "shift_jis": "cp932", "euc_kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030", "utf-16": "utf-16-le",
}  # fmt: skip
_KNOWN = frozenset(
    (
        "utf-8", "utf-16-le", "utf-16-be", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
        "cp1258", "cp866", "cp874", "cp932", "cp949", "gb18030", "big5", "big5hkscs", "euc_jp", "iso2022_jp", "koi8-r", "koi8-u",
        "mac-roman", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-10",
        "iso8859-13", "iso8859-14", "iso8859-15", "iso8859-16",
    )
)  # fmt: skip


def decoded(body: bytes, charset: str = "", *, whole: bool = True) -> str:
    """Bytes as a browser reads them, without ever giving up a byte to « � ».

    A byte order mark beats the charset that is told; without either, UTF-8 where the bytes are, else
    Windows-1252, in which every byte is a character. So it is as well where the told charset does not fit.

    Args:
        charset: as declared; one that no browser knows counts as none.
        whole: False where the bytes were cut somewhere, perhaps inside a character.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return _strictly(body[len(mark) :], encoding, whole) or _latin(body[len(mark) :], encoding)
    told = _encoding(charset)
    for encoding in filter(None, (told, "utf-8")):
        text = _strictly(body, encoding, whole)
        if text is not None:
            return text
    return _latin(body)


def _encoding(charset: str) -> str:
    try:
        name = codecs.lookup(charset.strip().strip("\"'")).name if charset else ""
    except (LookupError, ValueError):
        return ""
    name = _READ_AS.get(name, name)
    return name if name in _KNOWN else ""


def _strictly(body: bytes, encoding: str, whole: bool) -> str | None:
    if encoding == "cp1252":
        return _latin(body)
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(body, whole)
    except UnicodeError:
        return None


def _latin(body: bytes, encoding: str = "") -> str:
    """Windows-1252, its five free places as the control characters that browsers make of them."""
    if encoding.startswith("utf-16"):
        return body.decode(encoding, "ignore")
    return "".join(_CP1252[byte] for byte in body)


_CP1252 = [bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256)]
