"""Files that go out with a mail."""

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """One file: a name of plain ASCII, its type, its bytes."""

    name: str
    content_type: str
    content: bytes
