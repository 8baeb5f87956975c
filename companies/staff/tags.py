"""Template tags of the staff site: `{% load staff %}`."""

import re
from typing import Any

from django import template
from django.utils.html import escape, strip_tags
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

register = template.Library()

# What the framework draws of a value that is none, and what columns of this site write for it.
_NOTHING = frozenset({"", "-", "–"})
_CELL = re.compile(r"<(?P<tag>t[dh]) class=\"(?P<names>[^\"]*)\">(?P<inner>.*)</(?P=tag)>", re.DOTALL)


@register.simple_tag
def named_cell(cell: SafeString, headers: list[dict[str, Any]], place: int) -> SafeString:
    """The cell of a list as the framework drew it, with the name of its column for whoever sees rows as cards.

    A card has no room for what is empty: such a cell says so by its class.
    """
    drawn = _CELL.fullmatch(cell.strip())
    header = headers[place] if place < len(headers) else {}
    if drawn is None or "action-checkbox" in drawn["names"] or not header:
        return cell
    names = drawn["names"] + (
        " nothing" if strip_tags(drawn["inner"]).strip() in _NOTHING and "<img" not in cell else ""
    )
    label = escape(capfirst(str(header["text"])))
    tag = drawn["tag"]
    # Every part stood in the framework's safe text, or is escaped here.
    return mark_safe(f'<{tag} class="{names}" data-label="{label}">{drawn["inner"]}</{tag}>')
