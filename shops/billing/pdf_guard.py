"""An uploaded PDF: refused when it acts, is protected, or cannot be judged within bounds.

Two readings, because a viewer may read a file in more ways than one. Ours goes over every byte, whatever the table of
objects says: all revisions, what nothing leads to, and what is packed into object streams. Then a PDF library reads
the file as a viewer does, and each object that it finds is judged once more. What could be read as an object in a
place where ours sees a comment, a text or the data of a stream is refused.
"""

import io
import re
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import ArrayObject, ByteStringObject, DictionaryObject, IndirectObject, NameObject, TextStringObject

# Enough for the objects of a document of eight mebibytes; what grows beyond was made to.
MAX_UNPACKED = 16 * 1024 * 1024
MAX_TOKENS = 800_000
# Bytes that are looked at, those of a place that is read twice counted twice.
MAX_WORK = 64 * 1024 * 1024
MAX_OBJECTS = 100_000
MAX_PACKED = 5_000
MAX_NAME = 1_000
MAX_DEPTH = 100
# Processor seconds of the library's reading.
MAX_SECONDS = 2.0

# Names that make a document do something or carry something, wherever they stand.
ACTIVE = frozenset(
    b"JavaScript JS Launch GoToR GoToE SubmitForm ImportData Rendition RichMedia RichMediaExecute RichMediaContent "
    b"Movie Sound EmbeddedFile EmbeddedFiles FileAttachment Filespec EF XFA OpenAction AA 3D GoTo3DView "
    b"Hide Named ResetForm SetOCGState".split()
)
# Followed by an address that a click opens.
_ADDRESSES = frozenset((b"URI", b"Base"))
_SCHEMES = re.compile(r"(https?://[^\s\\]|mailto:|www\.|#)", re.IGNORECASE)

_SHORT_FILTERS = frozenset(b"Fl LZW AHx A85 RL CCF DCT".split())
_BLANKS = b"\x00\t\n\f\r "
_WHITE = rb"\x00\t\n\f\r "
_TOKEN = re.compile(
    rb"(?P<white>[" + _WHITE + rb"]+)"
    # With what follows: the numbers of a reference stand together.
    rb"|(?P<number>[0-9+.\-][" + _WHITE + rb"0-9+.\-]{0,40})"
    rb"|(?P<bracket>[\[\]])"
    rb"|(?P<comment>%[^\r\n]*)"
    rb"|(?P<open><<)|(?P<close>>>)"
    rb"|(?P<hex><[0-9A-Fa-f" + _WHITE + rb"]*>)"
    rb"|(?P<text>\()"
    rb"|(?P<name>/[^" + _WHITE + rb"()<>\[\]{}/%]*)"
    rb"|(?P<word>[^" + _WHITE + rb"()<>\[\]/%0-9+.\-][^" + _WHITE + rb"()<>\[\]/%]*)"
    rb"|(?P<odd>.)",
    re.DOTALL,
)
_IN_TEXT = re.compile(rb"[()\\]")
_ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")
_NUMBER = re.compile(rb"\+?([0-9]{1,9})")
_HEADER = re.compile(
    rb"[" + _WHITE + rb"]*([0-9]{1,10})[" + _WHITE + rb"]+([0-9]{1,10})(?=[" + _WHITE + rb"<(\[/tfn0-9])"
)
# An action, read without regard to what stands around it.
_ACTION = re.compile(
    rb"/S["
    + _WHITE
    + rb"]*/(JavaScript|Launch|GoToR|GoToE|SubmitForm|ImportData|Rendition|Movie|Sound|RichMediaExecute)"
    rb"(?![A-Za-z0-9])"
)


def check(content: bytes) -> None:
    """Raises ValidationError for a PDF that acts, is protected, is cut off or cannot be judged."""
    if b"%%EOF" not in content[-2048:]:
        raise _incomplete()
    _Scan(content).run()
    if action := _ACTION.search(content):
        raise _active(action[1])
    # Without a table of objects there is nothing that the library could read otherwise than we do.
    if b"startxref" in content:
        _check_by_library(content)


# --- Refusals -------------------------------------------------------------------------------------


def _active(name: bytes) -> ValidationError:
    return ValidationError(
        _("Le fichier PDF contient un élément actif (%(name)s) : enregistrez-le sans script ni pièce jointe.")
        % {"name": "/" + name.decode("ascii", "replace")}
    )


def _incomplete() -> ValidationError:
    return ValidationError(_("Le fichier PDF est incomplet : sa fin manque."))


def _protected() -> ValidationError:
    return ValidationError(_("Le fichier PDF est chiffré : enregistrez-le sans mot de passe ni restriction."))


def _unreadable() -> ValidationError:
    return ValidationError(_("Le fichier PDF est protégé, ou compressé d'une façon qui ne se vérifie pas."))


def _hidden() -> ValidationError:
    return ValidationError(_("Le fichier PDF cache un objet là où un lecteur ne devrait pas en chercher."))


def _unpacked() -> ValidationError:
    return ValidationError(_("Le fichier PDF est démesuré une fois décompressé."))


def _complex() -> ValidationError:
    return ValidationError(_("Le fichier PDF est trop complexe pour être vérifié."))


def _damaged() -> ValidationError:
    return ValidationError(_("Le fichier PDF est abîmé : il ne peut pas être lu."))


def _check_name(name: bytes) -> None:
    if name in ACTIVE:
        raise _active(name)
    if name == b"Encrypt":
        raise _protected()


def _check_value(name: bytes, kind: str, token: bytes) -> None:
    """Judge what stands right behind a name."""
    if name in _ADDRESSES:
        if kind in ("text", "hex"):
            _check_address(_text_of(token))
        elif kind == "number":
            # An address that is kept elsewhere, as nobody writes it.
            raise _unreadable()
    elif name == b"F" and kind in ("text", "hex", "open"):
        # A file elsewhere: on a share, or for another program. As a number it is a set of flags.
        raise _active(b"F")


def _check_address(address: str) -> None:
    if address and not (address.isprintable() and _SCHEMES.match(address)):
        shown = "".join(character if character.isprintable() else "�" for character in address[:80])
        raise ValidationError(
            _("Le fichier PDF mène à « %(address)s » : seules les adresses https, http et mailto sont acceptées.")
            % {"address": shown}
        )


# --- Our reading ----------------------------------------------------------------------------------


def _unescaped(said: bytes) -> bytes:
    """Names with their #xx escapes decoded."""
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), said) if b"#" in said else said


_BACKSLASHED = re.compile(rb"\\([0-7]{1,3}|\r\n|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b"", b"\r\n": b""}


def _text_of(token: bytes) -> str:
    """The content of a string, written with parentheses or in hexadecimal digits."""
    if token.startswith(b"<"):
        digits = re.sub(rb"[^0-9A-Fa-f]", b"", token)
        raw = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
    else:

        def meant(match: re.Match[bytes]) -> bytes:
            given = match[1]
            return bytes([int(given, 8) & 255]) if given[:1].isdigit() and given < b"8" else _LETTERS.get(given, given)

        raw = _BACKSLASHED.sub(meant, token[1:-1])
    if raw.startswith((b"\xfe\xff", b"\xff\xfe")):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "latin-1", "replace")


@dataclass
class _Dictionary:
    """The content of one dictionary: its names, keys and values alike, and the numbers behind each."""

    names: set[bytes] = field(default_factory=set)
    numbers: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def packs_objects(self) -> bool:
        # Some viewers do without the type.
        return b"ObjStm" in self.names or {b"N", b"First"} <= self.names

    @property
    def filters(self) -> set[bytes]:
        return {name for name in self.names if name.endswith(b"Decode") or name in _SHORT_FILTERS or name == b"Crypt"}


# Between a name and what it says these may stand; a number may go on.
_KEEP_NAME = frozenset(("name", "white", "comment", "bracket", "number"))


class _Around:
    """What a place stands in: the dictionaries and arrays that are open, and the name right before it."""

    def __init__(self) -> None:
        self.dictionaries: list[_Dictionary] = []
        self.arrays = 0
        # Spaces and comments left out.
        self.name = b""

    @property
    def depth(self) -> int:
        return len(self.dictionaries) + self.arrays

    def take(self, kind: str, token: bytes) -> _Dictionary | None:
        """Go past a token; returns the dictionary that it closes."""
        if kind == "name":
            self._take_name(token)
        elif kind == "open":
            self.dictionaries.append(_Dictionary())
        elif kind == "close" and self.dictionaries:
            return self.dictionaries.pop()
        elif kind == "bracket":
            self.arrays = max(0, self.arrays + (1 if token == b"[" else -1))
        elif kind == "number" and self.dictionaries and self.name:
            numbers = self.dictionaries[-1].numbers
            before = numbers.get(self.name, b"")
            if len(before) < 100:
                # A reference shows as two numbers, however far they stand apart.
                numbers[self.name] = (before + b" " + token).strip(_BLANKS)
        return None

    def _take_name(self, token: bytes) -> None:
        if len(token) > MAX_NAME:
            raise _complex()
        self.name = _unescaped(token[1:])
        _check_name(self.name)
        if self.dictionaries:
            self.dictionaries[-1].names.add(self.name)


class _Scan:
    """Reads a file from its first byte to its last. Each byte is looked at a bounded number of times."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.left = MAX_UNPACKED
        self.tokens = MAX_TOKENS
        self.work = MAX_WORK
        self.objects = MAX_OBJECTS
        self.packed = MAX_PACKED

    def run(self) -> None:
        place = 0
        while place < len(self.content):
            place = self._until_stream(place)

    def _count(self) -> None:
        """One object or stream more."""
        self.objects -= 1
        if self.objects < 0:
            raise _complex()

    def _until_stream(self, place: int) -> int:
        """Judge what stands before the next stream; returns where its data ends."""
        last: _Dictionary | None = None
        for kind, token, end, closed in self._tokens(self.content, place):
            if kind == "word" and token.startswith(b"stream"):
                return self._stream(end - len(token) + len(b"stream"), last or _Dictionary())
            if kind == "word" and token.startswith(b"obj"):
                self._count()
            last = closed or (last if kind in ("white", "comment") else None)
        return len(self.content)

    def _tokens(
        self, said: bytes, place: int, *, one: bool = False
    ) -> Iterator[tuple[str, bytes, int, _Dictionary | None]]:
        """(kind, token, where it ends, the dictionary that it closes) from a place on, each judged.

        Args:
            one: stop behind one whole object.
        """
        around = _Around()
        while (match := _TOKEN.match(said, place)) is not None:
            kind, token, place = match.lastgroup or "", match[0], match.end()
            if kind == "text":
                place = _end_of_text(said, place)
                token = said[match.start() : place]
            self._pay(kind, token)
            closed = around.take(kind, token)
            if self.tokens < 0 or self.work < 0 or around.depth > MAX_DEPTH:
                raise _complex()
            _check_value(around.name, kind, token)
            if kind not in _KEEP_NAME:
                around.name = b""
            yield kind, token, place, closed
            if one and not around.depth and kind not in ("white", "comment"):
                return

    def _pay(self, kind: str, token: bytes) -> None:
        """Count what is looked at; nothing hides in what a viewer passes over."""
        self.tokens -= 1
        self.work -= len(token)
        if kind in ("text", "comment"):
            self.tokens -= 2
            if _holds_object(token):
                raise _hidden()

    def _stream(self, start: int, dictionary: _Dictionary) -> int:
        """Judge a stream whose keyword ends at `start`; returns where its data ends."""
        self._count()
        end = self.content.find(b"endstream", start)
        if end < 0:
            raise _incomplete()
        if b"F" in dictionary.numbers:
            # Its data lies in another file.
            raise _active(b"F")
        if _holds_object(self.content[start:end]):
            raise _hidden()
        if dictionary.packs_objects:
            self._packed(start, end, dictionary)
        return end + len(b"endstream")

    def _packed(self, start: int, end: int, dictionary: _Dictionary) -> None:
        """Judge the objects of an object stream."""
        self.packed -= 1
        if self.packed < 0:
            raise _complex()
        filtered = bool(dictionary.names & {b"Filter", b"F"})
        if filtered and (
            dictionary.names & {b"DecodeParms", b"DP"} or dictionary.filters not in ({b"FlateDecode"}, {b"Fl"})
        ):
            # What is encoded twice, or in a way that we do not undo, is read by nobody here.
            raise _unreadable()
        # Viewers differ in where the data begins: behind the line, or right behind one line break.
        beginnings = self._beginnings(start, end)
        versions = [unpacked for place in beginnings if (unpacked := self._inflated(place)) is not None]
        if filtered and not versions:
            raise _unreadable()
        if not filtered:
            versions += [self.content[place:end] for place in beginnings]
        for unpacked in versions:
            self._objects(unpacked, dictionary)

    def _beginnings(self, start: int, end: int) -> list[int]:
        line = re.compile(rb"[^\r\n]*(\r\n|\n|\r)?").match(self.content, start, end)
        strict = re.compile(rb"[ \t]*(\r\n|\n|\r)?").match(self.content, start, end)
        return sorted({match.end() for match in (line, strict) if match})

    def _inflated(self, start: int) -> bytes | None:
        """The unpacked content of a stream up to its real end; None if it cannot be read."""
        unpacker = zlib.decompressobj()
        pieces = []
        step = 64 * 1024
        try:
            for place in range(start, len(self.content), step):
                data = self.content[place : place + step]
                while data and not unpacker.eof:
                    piece = unpacker.decompress(data, self.left + 1)
                    self.left -= len(piece)
                    if self.left < 0:
                        raise _unpacked()
                    pieces.append(piece)
                    data = unpacker.unconsumed_tail
                if unpacker.eof:
                    break
        except zlib.error:
            return None
        return b"".join(pieces)

    def _objects(self, unpacked: bytes, dictionary: _Dictionary) -> None:
        """Judge what an object stream holds: as a text, and each object from where the stream says that it begins."""
        if action := _ACTION.search(unpacked):
            raise _active(action[1])
        for _token in self._tokens(unpacked, 0):
            pass
        if b"First" not in dictionary.names:
            # Nobody finds an object in it.
            return
        first = _NUMBER.fullmatch(dictionary.numbers.get(b"First", b""))
        if first is None:
            raise _unreadable()
        place, begin = 0, int(first[1])
        seen = set()
        while (pair := _HEADER.match(unpacked, place, begin + 1)) is not None:
            place = pair.end()
            self._count()
            offset = begin + int(pair[2])
            if offset in seen or offset >= len(unpacked):
                continue
            seen.add(offset)
            for _token in self._tokens(unpacked, offset, one=True):
                pass


def _end_of_text(said: bytes, place: int) -> int:
    """Where a string ends whose parenthesis was opened right before."""
    depth = 1
    while (match := _IN_TEXT.search(said, place)) is not None:
        place = match.end()
        match match[0]:
            case b"(":
                depth += 1
            case b")":
                depth -= 1
                if not depth:
                    return place
            case _:
                place += 1
    raise _incomplete()


def _holds_object(said: bytes) -> bool:
    """Whether a viewer that is sent here by the table of objects would find one: two numbers, then `obj`."""
    place = said.find(b"obj")
    while place >= 0:
        start = max(0, place - 2000)
        for before in _ahead(said[start:place]):
            number = before.rstrip(b"0123456789")
            if number != before and any(ahead != number and ahead[-1:].isdigit() for ahead in _ahead(number)):
                return True
        place = said.find(b"obj", place + 3)
    return False


def _ahead(before: bytes) -> tuple[bytes, bytes]:
    """Return what stands before without spaces at its end, and without spaces and comments."""
    return before.rstrip(_BLANKS), _without_comments(before)


def _without_comments(before: bytes) -> bytes:
    for _step in range(50):
        before = before.rstrip(_BLANKS)
        line = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
        comment = before.find(b"%", line)
        if comment < 0:
            break
        before = before[:comment]
    return before


# --- The library's reading ------------------------------------------------------------------------


def _check_by_library(content: bytes) -> None:
    until = time.thread_time() + MAX_SECONDS
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted:
            raise _protected()
        _judge(reader.trailer)
        keys = {(number, generation) for generation, known in reader.xref.items() for number in known}
        keys |= {(number, 0) for number in reader.xref_objStm}
        if len(keys) > MAX_OBJECTS:
            raise _complex()
        for number, generation in sorted(keys):
            if time.thread_time() > until:
                raise _complex()
            if number:
                _judge(reader.get_object(IndirectObject(number, generation, reader)))
        if not reader.pages:
            raise _damaged()
    except ValidationError:
        raise
    except (RecursionError, MemoryError):
        raise _complex() from None
    except (
        PyPdfError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        IndexError,
        AssertionError,
        OSError,
        zlib.error,
    ):
        # Whatever it stumbles over: a document that is read with luck only is sent to nobody.
        raise _damaged() from None


def _judge(judged: Any) -> None:
    """Judge an object and what it holds itself; what it refers to is judged in its own turn."""
    waiting = [(judged, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _complex()
        if isinstance(item, DictionaryObject):
            for key in item:
                _check_name(str(key)[1:].encode("latin-1", "replace"))
                value = item.raw_get(key)
                if key in ("/URI", "/Base"):
                    target = value.get_object() if isinstance(value, IndirectObject) else value
                    if isinstance(target, (TextStringObject, ByteStringObject)):
                        _check_address(target.decode("latin-1") if isinstance(target, bytes) else str(target))
                waiting.append((value, depth + 1))
        elif isinstance(item, ArrayObject):
            waiting += [(value, depth + 1) for value in item]
        elif isinstance(item, NameObject):
            _check_name(str(item)[1:].encode("latin-1", "replace"))
