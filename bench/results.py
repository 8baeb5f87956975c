"""The last figures, kept in `bench/results.json` with date and machine, and printed beside the new ones."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("results.json")


def last() -> dict[str, Any]:
    """Name of a ratio → what it was; empty before the first run."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def report(database: str, machine: str, ratios: dict[str, tuple[float, float]], **figures: float) -> None:
    """Print ratios with their aim and their last value, and keep them.

    Args:
        ratios: name → (measured, aimed at).
    """
    known = last()
    print(f"  {'ratios':<58} {'now':>8} {'last':>8} {'aim':>8}")
    for name, (value, aim) in ratios.items():
        key = f"{database}: {name}"
        before = known.get(key, {}).get("value")
        print(f"  {name:<58} {value:>8.2f} {before if before is not None else '–':>8} {aim:>8.2f}")
        known[key] = {
            "value": round(value, 2),
            "aim": aim,
            "date": f"{datetime.now(tz=UTC):%Y-%m-%d}",
            "machine": machine,
            **{figure: round(number, 2) for figure, number in figures.items()},
        }
    text = json.dumps(dict(sorted(known.items())), ensure_ascii=False, indent=1)
    FILE.write_text(text + "\n", encoding="utf-8")
