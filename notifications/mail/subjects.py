"""Subjects as encoded words (RFC 2047).

The library's encoder does not count the name of the header, so that the line is folded right after "Subject:" and readers
see a subject that starts with a space; and it measures every character anew for each, which took longer than all
else of a mail.
"""

import base64
from functools import lru_cache

_START, _END = "=?utf-8?", "?="
_FRAME = len(_START) + len("q?") + len(_END)
# Characters of an encoded word with its marks; the first one stands beside the name of the header.
_WORD = 75
_FIRST = 76 - len("Subject: ")
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


@lru_cache(maxsize=512)
def encoded(subject: str) -> str:
    """A subject in ASCII, on one line; its words may be folded apart."""
    # What looks like an encoded word is encoded itself, and read as it stands.
    if subject.isascii() and "=?" not in subject:
        return subject
    quoted = [_QUOTED[character] for character in subject]
    lengths = list(map(len, quoted))
    if sum(lengths) <= len(subject.encode()) * 4 // 3:
        words = _words(quoted, lengths, _FIRST - _FRAME, _WORD - _FRAME)
        return " ".join(f"{_START}q?{word}{_END}" for word in words)
    # Three bytes are four characters of base64.
    sizes = [len(character.encode()) for character in subject]
    words = _words(list(subject), sizes, (_FIRST - _FRAME) // 4 * 3, (_WORD - _FRAME) // 4 * 3)
    return " ".join(f"{_START}b?{base64.b64encode(word.encode()).decode('ascii')}{_END}" for word in words)


class _Quoted(dict[str, str]):
    """Characters as the words have them; each is worked out once."""

    def __missing__(self, character: str) -> str:
        quoted = "".join(f"={byte:02X}" for byte in character.encode())
        if len(self) < _MOST_KEPT:
            self[character] = quoted
        return quoted


_MOST_KEPT = 4096
_QUOTED = _Quoted({" ": "_", **{character: character for character in _SAFE}})


def _words(pieces: list[str], sizes: list[int], first: int, others: int) -> list[str]:
    """Pieces joined into words of at most that size; no character is cut."""
    if sum(sizes) <= first:
        return ["".join(pieces)]
    words, room = [""], first
    for piece, size in zip(pieces, sizes, strict=True):
        if size > room:
            words.append("")
            room = others
        words[-1] += piece
        room -= size
    return words
