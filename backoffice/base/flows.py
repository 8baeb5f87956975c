"""A picture of who sends to whom: names on two sides, curves between them, drawn as SVG by the server.

Pointing at a name, or reaching it by keyboard, leaves only its own curves in colour; that is done by the style sheet
alone, because each name carries a second drawing of its curves. Pure, like `charts`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backoffice.base.charts import Chart, Row

_WIDTH = 960
_LEFT, _RIGHT = 360, 640
_PITCH = 28
# Longer names are cut; on hover, in the table and read aloud they are whole.
_LONGEST = 48


@dataclass(frozen=True)
class Node:
    """A name on one side.

    Attributes:
        note: what is said of it on hover, besides its name.
        kind: `fail` for what is not as it should be; else empty.
    """

    key: str
    label: str
    url: str
    note: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Edge:
    """A curve from a name on the left to one on the right; the more it stands for, the wider."""

    source: str
    target: str
    weight: int = 1
    kind: str = ""


def flow(
    key: str, title: str, description: str, sources: Sequence[Node], targets: Sequence[Node], edges: Sequence[Edge], *,
    header: tuple[str, str, str],
) -> Chart:  # fmt: skip
    """The picture with the table it stands for.

    Args:
        header: heads of the table: of the left side, of the right side, of the weight.
    """
    height = max(len(sources), len(targets), 1) * _PITCH
    left = _places(sources, height)
    right = _places(_uncrossed(targets, edges, left), height)
    curves = {edge: _curve(edge, left, right) for edge in edges}
    names = [
        *(_node(node, left[node.key], curves, is_source=True) for node in sources),
        *(_node(node, right[node.key], curves, is_source=False) for node in targets),
    ]
    svg = format_html(
        '<svg class="chart-drawing" role="img" aria-labelledby="{key}-title {key}-desc" viewBox="0 0 {width} {height}">'
        '<title id="{key}-title">{title}</title><desc id="{key}-desc">{description}</desc>{curves}</svg>'
        '<svg class="chart-links" viewBox="0 0 {width} {height}">{names}</svg>',
        key=key, title=title, description=description, width=_WIDTH, height=height,
        curves=_joined(curves.values()), names=_joined(names),
    )  # fmt: skip
    return Chart(key, "flow", title, description, svg, header=header, rows=_rows(sources, targets, edges))


def _places(nodes: Sequence[Node], height: int) -> dict[str, float]:
    """Where each name stands, the shorter side spread over the height of the longer one."""
    step = height / max(len(nodes), 1)
    return {node.key: step * (at + 0.5) for at, node in enumerate(nodes)}


def _uncrossed(targets: Sequence[Node], edges: Sequence[Edge], left: dict[str, float]) -> list[Node]:
    """The right side in the order of the middle of what reaches each, so that fewer curves cross."""
    reached: dict[str, list[float]] = {}
    for edge in edges:
        reached.setdefault(edge.target, []).append(left[edge.source])
    return sorted(targets, key=lambda node: _middle(reached.get(node.key, [])))


def _middle(places: list[float]) -> float:
    return sum(places) / len(places) if places else math.inf


def _curve(edge: Edge, left: dict[str, float], right: dict[str, float]) -> SafeString:
    start, end, bend = left[edge.source], right[edge.target], (_LEFT + _RIGHT) / 2
    return format_html(
        '<path class="flow-edge {}" stroke-width="{}" d="M{} {}C{} {} {} {} {} {}"/>',
        f"flow-{edge.kind}" if edge.kind else "",
        f"{1.2 + min(math.log2(max(edge.weight, 1)), 8) / 1.6:.1f}",
        _LEFT, f"{start:.1f}", bend, f"{start:.1f}", bend, f"{end:.1f}", _RIGHT, f"{end:.1f}",
    )  # fmt: skip


def _node(node: Node, place: float, curves: dict[Edge, SafeString], *, is_source: bool) -> SafeString:
    """A name as a link, with the curves that are shown while it is pointed at."""
    own = [curve for edge, curve in curves.items() if node.key == (edge.source if is_source else edge.target)]
    shown = node.label if len(node.label) <= _LONGEST else f"{node.label[: _LONGEST - 1]}…"
    return format_html(
        '<g class="flow-node flow-{side}{kind}">{own}<a href="{url}" aria-label="{spoken}">'
        '<title>{spoken}</title><rect class="flow-hit" x="{x}" y="{y}" width="{width}" height="{height}"/>'
        '<circle cx="{dot}" cy="{place}" r="4"/><text x="{text}" y="{baseline}">{shown}</text></a></g>',
        side="source" if is_source else "target",
        kind=f" flow-{node.kind}" if node.kind else "",
        own=_joined(own),
        url=node.url,
        spoken=f"{node.label} : {node.note}" if node.note else node.label,
        x=0 if is_source else _RIGHT - 8,
        y=f"{place - _PITCH / 2 + 1:.1f}",
        width=_LEFT + 8,
        height=_PITCH - 2,
        dot=_LEFT if is_source else _RIGHT,
        place=f"{place:.1f}",
        text=_LEFT - 12 if is_source else _RIGHT + 12,
        baseline=f"{place + 4.5:.1f}",
        shown=shown,
    )


def _joined(pieces: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((piece,) for piece in pieces))


def _rows(sources: Sequence[Node], targets: Sequence[Node], edges: Sequence[Edge]) -> list[Row]:
    left, right = ({node.key: node for node in side} for side in (sources, targets))
    order = {node.key: at for at, node in enumerate(sources)}
    return [
        Row(left[edge.source].label, (right[edge.target].label, edge.weight), left[edge.source].url, [right[edge.target].url])
        for edge in sorted(edges, key=lambda edge: (order[edge.source], right[edge.target].label))
    ]  # fmt: skip
