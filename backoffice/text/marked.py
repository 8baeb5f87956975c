"""The few marks of Markdown that the guide is written in, as HTML. Pure.

Headings, paragraphs, lists, strong words, keys, links and pictures; everything else is text and is escaped, so that no
HTML of a file reaches a page. A library would read more than the guide may say.
"""

import re
from collections.abc import Callable, Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# Where a link of a file leads on the page; None where it leads nowhere.
Target = Callable[[str], str | None]
# (file, alternative text) → a picture.
Picture = Callable[[str, str], SafeString]

_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_ITEM = re.compile(r"(?:-|\d+\.) ")
# `key`, [words](target), **strong**
_MARK = re.compile(r"`([^`]+)`|\[([^\]]+)\]\(([^)\s]+)\)|\*\*(.+?)\*\*")


def title_of(text: str) -> str:
    """The first heading of a text."""
    return text.partition("\n")[0].removeprefix("# ").strip()


def to_html(text: str, *, link: Target, picture: Picture) -> SafeString:
    """The body of a text, without its title."""
    body = text.partition("\n")[2] if text.startswith("# ") else text
    blocks = (block.strip() for block in re.split(r"\n\s*\n", body))
    return format_html_join("\n", "{}", ((_block(block, link, picture),) for block in blocks if block))


def _block(block: str, link: Target, picture: Picture) -> SafeString:
    lines = block.splitlines()
    if shown := _PICTURE.fullmatch(block):
        return picture(shown[2], shown[1])
    if block.startswith("## "):
        return format_html("<h2>{}</h2>", _inline(block[3:], link))
    if _ITEM.match(block):
        items = format_html_join("", "<li>{}</li>", ((_inline(item, link),) for item in _items(lines)))
        return format_html("<ul>{}</ul>" if block.startswith("- ") else "<ol>{}</ol>", items)
    return format_html("<p>{}</p>", _inline(" ".join(lines), link))


def _items(lines: list[str]) -> Iterator[str]:
    """The items of a list; a line without a mark goes on with the one before."""
    item = ""
    for line in lines:
        if _ITEM.match(line):
            if item:
                yield item
            item = _ITEM.sub("", line, count=1)
        else:
            item = f"{item} {line.strip()}"
    yield item


def _inline(text: str, link: Target) -> SafeString:
    """The marks within a line; what lies between them is text."""
    pieces: list[str] = []
    end = 0
    for mark in _MARK.finditer(text):
        pieces += [text[end : mark.start()], _marked(mark, link)]
        end = mark.end()
    return format_html_join("", "{}", ((piece,) for piece in [*pieces, text[end:]]))


def _marked(mark: re.Match[str], link: Target) -> str:
    key, words, target, strong = mark.groups()
    if key:
        return format_html("<kbd>{}</kbd>", key)
    if strong:
        return format_html("<strong>{}</strong>", strong)
    url = link(target)
    return format_html('<a href="{}">{}</a>', url, words) if url else words
