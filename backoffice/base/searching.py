"""What the search of the top bar is made of: each room gives one group, or several, of what it finds.

A finder takes a membership and a text, and begins at the readers of its room: what the membership does not cover is
neither found nor counted. It asks the same number of queries whatever there is, each served by an index or bounded by
the company. The table of finders stands in the settings.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse

# Of each group, so many are shown; its link leads to all.
SHOWN = 5
LONGEST = 254
_UUID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Hit:
    """One thing found.

    Attributes:
        detail: what tells it from others of the same name.
        is_test: whether it is of mode TEST.
        is_exact: whether the text is its whole identifier.
    """

    label: str
    url: str
    detail: str = ""
    is_test: bool = False
    is_exact: bool = False


@dataclass(frozen=True)
class Group:
    """What one room found.

    Attributes:
        hits: SHOWN at most.
        url: the list of its room, filtered by the same text.
    """

    code: str
    label: str
    hits: Sequence[Hit]
    url: str
    has_more: bool = False


def group(code: str, label: str, hits: Sequence[Hit], url: str) -> list[Group]:
    """The group of these hits, of which one more than SHOWN tells that there are more; none without hits."""
    return [Group(code, label, hits[:SHOWN], url, len(hits) > SHOWN)] if hits else []


def few(rows: QuerySet[Any]) -> list[Any]:
    """The first rows, one more than is shown."""
    return list(rows[: SHOWN + 1])


def list_url(route: str, **query: str) -> str:
    """A list of a room under its filters."""
    return f"{reverse(route)}?{urlencode(query)}"


def identifier(text: str) -> UUID | None:
    """The UUID that a text is, or that a Message-ID of ours begins with."""
    key = _UUID.fullmatch(text.strip(" <>").partition("@")[0])
    return UUID(key[0]) if key else None


def joined(*parts: str) -> str:
    """The parts that say something, on one line."""
    return " · ".join(part for part in parts if part)
