"""Pictures drawn by the server as SVG: stacked bars, a strip of the last results, cells by intensity, flows.

Each is a `Chart`: the drawing, its legend and the table it stands for, which `includes/chart.html` puts on a page with
`static/charts.css`. Colours come from classes, so that light, dark and print follow the page; a kind of value also has a
form of its own (hatched, dotted, taller), so that no colour is alone. What is drawn has `role="img"`; the links lie in a
second layer over it. Whoever uses the keyboard finds the same links in the table.

Pure: it is given numbers and words, and reads nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# Kinds of values, as in badges: each has a colour and a form in `static/charts.css`.
KINDS = ("ok", "warn", "fail", "off")

# Units of the drawing; a page stretches bars and strips to its width.
_HEIGHT = 100.0
_PITCH = 10.0
_GAP = 2.0
# Where there is something, something is seen.
_LEAST = 4.0


@dataclass(frozen=True)
class Series:
    """One kind of value of a picture: its form, and its name in the legend and at the head of the table."""

    kind: str
    label: str


@dataclass(frozen=True)
class Row:
    """One row of the table behind a picture; `url` leads to what it counts."""

    label: str
    values: Sequence[object]
    url: str = ""
    links: Sequence[str] = ()

    @property
    def cells(self) -> list[tuple[object, str]]:
        """The values with the link of each, which may be empty."""
        links = [*self.links, *[""] * len(self.values)]
        return list(zip(self.values, links, strict=False))


@dataclass(frozen=True)
class Chart:
    """A picture with all that stands around it.

    Attributes:
        shape: class of the drawing: `bars`, `strip`, `heat` or `flow`.
        svg: the drawing and the layer of its links.
        axis: words under it, from left to right.
        top: what the upper edge means; empty where it means nothing.
        header: heads of the table; the first is that of the labels of its rows.
    """

    key: str
    shape: str
    title: str
    description: str
    svg: SafeString
    legend: Sequence[Series] = ()
    axis: Sequence[str] = ()
    top: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Row] = field(default_factory=list)


# --- Stacked bars ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """One bar: a day, a shop.

    Attributes:
        label: its name in full, for the table and on hover.
        values: one a series.
        url: what the bar opens; empty for nothing.
        links: what each value opens, for the table.
    """

    label: str
    values: Sequence[int]
    url: str = ""
    links: Sequence[str] = ()


def stacked_bars(
    key: str, title: str, description: str, series: Sequence[Series], bars: Sequence[Bar], *,
    first_head: str, axis: Sequence[str] = (),
) -> Chart:  # fmt: skip
    """Bars beside one another, each a stack of its values in the order of the series, from the bottom up.

    Args:
        key: tells it from other pictures of the page.
        first_head: what the bars are, for the table: « Jour ».
    """
    highest = max((sum(bar.values) for bar in bars), default=0)
    width = max(1, len(bars)) * _PITCH
    drawn = _joined(_stack(at, bar, series, highest) for at, bar in enumerate(bars))
    return Chart(
        key, "bars", title, description,
        _layers(key, title, description, drawn, _columns(bars), width=width, height=_HEIGHT, stretch=True),
        legend=series,
        axis=axis,
        top=str(highest) if highest else "",
        header=(first_head, *(one.label for one in series)),
        rows=[Row(bar.label, bar.values, bar.url, bar.links) for bar in bars],
    )  # fmt: skip


def _stack(at: int, bar: Bar, series: Sequence[Series], highest: int) -> SafeString:
    """The pieces of one bar; a day without anything is a line at the bottom."""
    left, bottom = at * _PITCH + _GAP / 2, _HEIGHT
    if not any(bar.values):
        return _rect(left, _HEIGHT - 1, _PITCH - _GAP, 1, "none")
    # What is kept for the least heights is taken from the whole, so that the highest bar fits.
    scale = (_HEIGHT - _LEAST * len(series)) / highest
    pieces = []
    for value, one in zip(bar.values, series, strict=True):
        if value:
            height = _LEAST + value * scale
            bottom -= height
            pieces.append(_rect(left, bottom, _PITCH - _GAP, height, one.kind))
    return _joined(pieces)


# --- Strip of the last results --------------------------------------------------------------------


@dataclass(frozen=True)
class Tick:
    """One result: its kind, what it says on hover and in the table, and what it opens."""

    kind: str
    label: str
    outcome: str
    url: str = ""


# Taller is worse, so that a failure stands out without its colour.
_TICK_HEIGHTS = {"ok": 60.0, "off": 30.0, "warn": 80.0, "fail": 100.0}


def strip(
    key: str, title: str, description: str, ticks: Sequence[Tick], *,
    heads: tuple[str, str], legend: Sequence[Series] = (), axis: Sequence[str] = (),
) -> Chart:  # fmt: skip
    """The last results side by side, in the order given.

    Args:
        heads: heads of the table: of the label of a tick, and of its outcome.
    """
    drawn = _joined(_grid_line(at, tick) for at, tick in enumerate(ticks))
    bars = [Bar(f"{tick.label} : {tick.outcome}", (), tick.url) for tick in ticks]
    width = max(1, len(ticks)) * _PITCH
    return Chart(
        key, "strip", title, description,
        _layers(key, title, description, drawn, _columns(bars), width=width, height=_HEIGHT, stretch=True),
        legend=legend,
        axis=axis,
        header=heads,
        rows=[Row(tick.label, (tick.outcome,), tick.url) for tick in ticks],
    )  # fmt: skip


def _grid_line(at: int, tick: Tick) -> SafeString:
    height = _TICK_HEIGHTS[tick.kind]
    return _rect(at * _PITCH + _GAP / 2, _HEIGHT - height, _PITCH - _GAP, height, tick.kind)


# --- Cells by intensity ---------------------------------------------------------------------------


@dataclass(frozen=True)
class HeatCell:
    """One cell: how much (0 to 4), a character that says it without colour, words and what it opens."""

    level: int
    mark: str
    label: str
    url: str = ""


_SIDE = 24.0


def heat_cells(
    key: str, title: str, description: str, rows: Sequence[tuple[str, Sequence[HeatCell]]], *,
    header: Sequence[str],
) -> Chart:  # fmt: skip
    """A row of cells for each name.

    Args:
        rows: (name, its cells).
        header: heads of the table: of the names, then one a column.
    """
    named = 4 * _SIDE if any(name for name, _cells in rows) else 0.0
    drawn: list[SafeString] = []
    links: list[SafeString] = []
    for line, (name, cells) in enumerate(rows):
        middle = line * _SIDE + _SIDE / 2
        drawn.append(format_html('<text class="chart-name" x="0" y="{}">{}</text>', _n(middle + 4), name))
        for at, cell in enumerate(cells):
            left = named + at * _SIDE
            drawn.append(_rect(left, line * _SIDE, _SIDE - 2, _SIDE - 2, f"heat-{cell.level}"))
            if cell.mark:
                drawn.append(
                    format_html(
                        '<text class="chart-mark" x="{}" y="{}">{}</text>', _n(left + _SIDE / 2 - 1), _n(middle + 3), cell.mark
                    )
                )  # fmt: skip
            links.append(_hit(left, line * _SIDE, _SIDE - 2, _SIDE - 2, cell.label, cell.url))
    width = named + max((len(cells) for _name, cells in rows), default=1) * _SIDE
    height = max(1, len(rows)) * _SIDE
    return Chart(
        key, "heat", title, description,
        _layers(key, title, description, _joined(drawn), _joined(links), width=width, height=height),
        header=header,
        rows=[
            Row(name, [cell.mark or cell.level for cell in cells], links=[cell.url for cell in cells])
            for name, cells in rows
        ],
    )  # fmt: skip


# --- Pieces ---------------------------------------------------------------------------------------


def _n(value: float) -> str:
    """A length as short as it can be written, whatever the language."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _joined(pieces: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((piece,) for piece in pieces))


def _rect(x: float, y: float, width: float, height: float, kind: str) -> SafeString:
    place = _place(x, y, width, height)
    drawn = format_html('<rect class="chart-{}" {}/>', kind, place)
    if kind in ("fail", "warn"):
        drawn = format_html('{}<rect class="chart-form" fill="url(#form-{})" {}/>', drawn, kind, place)
    return drawn


def _place(x: float, y: float, width: float, height: float) -> SafeString:
    return format_html('x="{}" y="{}" width="{}" height="{}"', _n(x), _n(y), _n(width), _n(height))


def _columns(bars: Sequence[Bar]) -> SafeString:
    """What lies over each bar from top to bottom: its words on hover, its link."""
    return _joined(_hit(at * _PITCH, 0, _PITCH, _HEIGHT, bar.label, bar.url) for at, bar in enumerate(bars))


def _hit(x: float, y: float, width: float, height: float, label: str, url: str) -> SafeString:
    place = _place(x, y, width, height)
    area = format_html('<rect class="chart-hit" {}><title>{}</title></rect>', place, label)
    return format_html('<a href="{}" tabindex="-1">{}</a>', url, area) if url else area


# Hatched for what failed, dotted for what is not settled.
_FORMS = format_html(
    '<defs><pattern id="form-fail" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path class="chart-line" d="M0 0V4"/></pattern>'
    '<pattern id="form-warn" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<circle class="chart-dot" cx="2" cy="2" r="{}"/></pattern></defs>',
    "0.8",
)


def _layers(
    key: str, title: str, description: str, drawn: SafeString, links: SafeString, *,
    width: float, height: float, stretch: bool = False,
) -> SafeString:  # fmt: skip
    """The drawing, and over it the layer of its links."""
    frame = format_html('viewBox="0 0 {} {}"', _n(width), _n(height))
    if stretch:
        frame = format_html('{} preserveAspectRatio="none"', frame)
    return format_html(
        '<svg class="chart-drawing" role="img" aria-labelledby="{key}-title {key}-desc" {frame}>'
        '<title id="{key}-title">{title}</title><desc id="{key}-desc">{description}</desc>{forms}{drawn}</svg>'
        '<svg class="chart-links" aria-hidden="true" focusable="false" {frame}>{links}</svg>',
        key=key, frame=frame, title=title, description=description, forms=_FORMS, drawn=drawn, links=links,
    )  # fmt: skip
