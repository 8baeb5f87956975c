"""The small formatting of a letter: paragraphs, headings, lists, bold, links. Nothing else.

    ## A heading
    A paragraph; a blank line ends it. **Bold**, [a link](https://example.org/).
    - a line of a list

What is typed never becomes markup: every piece of text is escaped, and a link is http or https only.
Pure: no database, no settings, no clock.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

_PIECE = re.compile(r"\*\*(?P<bold>[^*\n]+)\*\*|\[(?P<label>[^\]\n]+)\]\((?P<url>https?://[^\s()<>\"]+)\)")


@dataclass(frozen=True)
class Span:
    """A run of text: plain, bold, or a link where `url` is set."""

    text: str
    bold: bool = False
    url: str = ""


@dataclass(frozen=True)
class Block:
    """`kind` is paragraph, heading or list; `lines` holds one line, or the entries of the list."""

    kind: str
    lines: tuple[tuple[Span, ...], ...]


Clean = Callable[[str], str]


def parse(text: str, clean: Clean = str) -> list[Block]:
    """The blocks of a text.

    Args:
        clean: applied to each piece of text, labels of links included.
    """
    blocks: list[Block] = []
    kind, lines = "", list[str]()

    def close() -> None:
        if not lines:
            return
        entries = lines if kind == "list" else [" ".join(lines)]
        blocks.append(Block(kind, tuple(_spans(entry, clean) for entry in entries)))
        lines.clear()

    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("## "):
            line_kind, line = "heading", line[3:].strip()
        elif line.startswith(("- ", "* ", "• ")):
            line_kind, line = "list", line[2:].strip()
        else:
            line_kind = "paragraph" if line else ""
        if line_kind != kind or line_kind == "heading":
            close()
        kind = line_kind
        if line:
            lines.append(line)
    close()
    return blocks


def _spans(line: str, clean: Clean) -> tuple[Span, ...]:
    spans, position = [], 0
    for match in _PIECE.finditer(line):
        if match.start() > position:
            spans.append(Span(clean(line[position : match.start()])))
        if match["bold"]:
            spans.append(Span(clean(match["bold"]), bold=True))
        else:
            spans.append(Span(clean(match["label"]), url=clean(match["url"])))
        position = match.end()
    if position < len(line):
        spans.append(Span(clean(line[position:])))
    return tuple(spans)


def to_html(blocks: Iterable[Block]) -> SafeString:
    """HTML with nothing but p, h2, ul, li, strong and a."""
    parts = []
    for block in blocks:
        if block.kind == "list":
            items = format_html_join("", "<li>{}</li>", ((_html(line),) for line in block.lines))
            parts.append(format_html("<ul>{}</ul>", items))
        elif block.kind == "heading":
            parts.append(format_html("<h2>{}</h2>", _html(block.lines[0])))
        else:
            parts.append(format_html("<p>{}</p>", _html(block.lines[0])))
    # Every part was escaped above.
    return mark_safe("\n".join(parts))


def _html(line: Iterable[Span]) -> SafeString:
    return format_html_join("", "{}", ((_span(span),) for span in line))


def _span(span: Span) -> SafeString | str:
    if span.url:
        return format_html('<a href="{}">{}</a>', span.url, span.text)
    return format_html("<strong>{}</strong>", span.text) if span.bold else span.text


def to_text(blocks: Iterable[Block]) -> str:
    """The same for a terminal: links behind their label, headings underlined."""
    parts = []
    for block in blocks:
        lines = [
            "".join(f"{span.text} <{span.url}>" if span.url else span.text for span in line) for line in block.lines
        ]
        if block.kind == "list":
            parts.append("\n".join(f"- {line}" for line in lines))
        elif block.kind == "heading":
            parts.append(f"{lines[0]}\n{'-' * min(len(lines[0]), 70)}")
        else:
            parts.append(lines[0])
    return "\n\n".join(parts)
