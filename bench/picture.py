"""The picture of the last figures: `bench/results.json` as docs/speed.svg, drawn without any library."""

from html import escape
from pathlib import Path

from bench.results import last

FILE = Path(__file__).resolve().parent.parent / "docs" / "speed.svg"
_ROW, _LEFT, _WIDTH, _TOP = 22, 470, 330, 46
# A bar of this many times the aim fills the width.
_MOST = 3.0


def draw() -> None:
    """Write the picture: each measured ratio against its aim, which is the line."""
    results = {name: kept for name, kept in last().items() if kept["aim"]}
    rows = sorted(results.items())
    height = _TOP + _ROW * len(rows) + 34
    line = _LEFT + _WIDTH / _MOST
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 80} {height}" role="img" '
        'aria-labelledby="title" font-family="system-ui, sans-serif" font-size="12">',
        '<title id="title">Measured speed against its aims</title>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{line}" y="20" text-anchor="middle" fill="#334155">aim</text>',
        f'<line x1="{line}" x2="{line}" y1="26" y2="{height - 30}" stroke="#334155" stroke-dasharray="3 3"/>',
    ]
    for number, (name, kept) in enumerate(rows):
        parts += _bar(name, kept["value"], kept["aim"], _TOP + number * _ROW)
    dates = sorted({kept["date"] for kept in results.values()})
    machines = sorted({kept["machine"] for kept in results.values()})
    told = f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))} · {'; '.join(machines)}" if dates else "not measured"
    parts += [f'<text x="12" y="{height - 10}" fill="#64748b">{escape(told)}</text>', "</svg>"]
    FILE.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _bar(name: str, value: float, aim: float, top: int) -> list[str]:
    most = "at most" in name
    share = aim / value if most and value else value / aim
    colour = "#166534" if share >= 1 else "#b45309"
    width = min(share, _MOST) * _WIDTH / _MOST
    return [
        f'<text x="{_LEFT - 8}" y="{top + 12}" text-anchor="end" fill="#1e293b">{escape(name)}</text>',
        f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="15" fill="{colour}"/>',
        f'<text x="{_LEFT + width + 5:.1f}" y="{top + 12}" fill="#1e293b">{value:g} <tspan fill="#64748b">({aim:g})'
        "</tspan></text>",
    ]


if __name__ == "__main__":
    draw()
