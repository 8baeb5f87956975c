"""docs/reliability.md, made from the results of the last runs."""

import fcntl
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.faults.laboratory import ROOT
from tests.faults.registry import BOTH, GROUPS, Fault, all_faults

FILE = ROOT / "var/faults.json"
DOCUMENT = ROOT / "docs/reliability.md"
TITLES = {
    "mail_server": "Mail server",
    "endpoint": "Endpoint",
    "database": "Database",
    "broker": "Broker",
    "cache": "Cache",
    "process": "Process",
    "disk": "Disk",
    "clock": "Clock",
    "configuration": "Configuration",
}


class Results:
    """What runs found, kept in a file as it comes; the newest result of each fault counts."""

    def __init__(self, kept: dict[str, Any]) -> None:
        self.kept = kept

    @classmethod
    def read(cls) -> "Results":
        return cls(json.loads(FILE.read_text("utf-8")) if FILE.exists() else {})

    def keep(self, database: str, one: Fault, result: dict[str, Any], version: str) -> None:
        self.keep_part("faults", f"{database}/{one.group}/{one.name}", {**result, "version": version})

    def keep_part(self, part: str, key: str, value: Any, *, beside: bool = False) -> None:
        """Add to what is kept; several runs may do so at the same time.

        Args:
            beside: what is kept under this key already are earlier pieces of the same run.
        """
        FILE.parent.mkdir(exist_ok=True)
        with FILE.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.kept = Results.read().kept
            earlier = self.kept.setdefault(part, {}).get(key)
            self.kept[part][key] = _together(earlier, value) if beside and earlier else value
            FILE.write_text(json.dumps(self.kept, ensure_ascii=False, indent=1), encoding="utf-8")

    def kills(self, database: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.kept.get("kills", {}).get(database)
        return found

    def crashes(self, database: str, point: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.kept.get("crashes", {}).get(f"{database}/{point}")
        return found

    def has_held(self, database: str, one: Fault) -> bool:
        known = self.fault(database, one)
        return known is not None and known["verdict"] == "held"

    def fault(self, database: str, one: Fault) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.kept.get("faults", {}).get(f"{database}/{one.group}/{one.name}")
        return found


def _together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two pieces as one: figures are added up, what is the most stays the most."""
    told: dict[str, Any] = {}
    for name, value in other.items():
        before = one.get(name, type(value)())
        if name.startswith("most"):
            told[name] = max(before, value)
        elif isinstance(value, dict):
            told[name] = dict(Counter(before) + Counter(value))
        elif name == "versions":
            told[name] = sorted({*before, *value})
        else:
            told[name] = before + value
    return told


def write(results: Results, machine: str) -> None:
    """Write the document anew."""
    faults = all_faults()
    lines = [
        *_head(results, faults, machine),
        *_table(results, faults),
        *_kills(results),
        *_crashes(results),
        *_upgrade(results),
        *_soak(results),
    ]
    DOCUMENT.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")


def _head(results: Results, faults: list[Fault], machine: str) -> Iterator[str]:
    known = [result for one in faults for database in one.databases if (result := results.fault(database, one))]
    verdicts = Counter(result["verdict"] for result in known)
    days = sorted(result["at"][:10] for result in known if result.get("at"))
    yield "# How we know that nothing is lost"
    yield ""
    yield "Made by `make faults`; do not edit. What is promised stands in [operations.md](operations.md#what-is-guaranteed): each accepted"
    yield "event arrives, or is given up with a reason, and a mail arrives twice only in the cases named there."
    yield ""
    cases = sum(len(one.databases) for one in faults)
    yield f"- **{len(faults)} named faults**, {cases} with their databases: {verdicts['held']} held, {verdicts['failed']} failed,"
    yield f"  {verdicts['skipped']} skipped, {cases - len(known)} not run. From {days[0] if days else '–'} to {days[-1] if days else '–'}."
    pieces = [one for part in ("kills", "crashes", "upgrade") for one in results.kept.get(part, {}).values()]
    versions = sorted({result["version"] for result in known} | {word for one in pieces for word in one["versions"]})
    yield f"- **Version**: {', '.join(versions)}: the release and the last commit of the product in it (`+`: with changes that were not committed)."
    yield f"- **Machine**: {machine}, shared with other work."
    yield "- **The checker** (`tests/faults/checker.py`) shares no code with the product: it knows which events were acknowledged, what the servers"
    yield "  really received, and reads the rows by statements of its own. *accepted = arrived + dead with a reason + waiting*; a duplicate is"
    yield "  one more mail of the same `Message-ID`, or one more call of the same `X-BOM-Delivery`."
    yield "- **Shortened** so that hours pass in seconds (`tests/faults/settings.py`, `SHORTENED` in `tests/faults/zygote.py`): the schedule of mail (1 to"
    yield "  2 s between attempts), leases (6 s), the wait after an unknown answer (2 s), probes of the breaker (1 s), time limits of the SMTP dialogue"
    yield "  (3 to 4 s) and of calls (2 s). Nothing else of the product is changed. Processes are killed, power is not cut: databases do not flush."
    yield ""


def _table(results: Results, faults: list[Fault]) -> Iterator[str]:
    yield "## Faults"
    yield ""
    yield "accepted → arrived, dead, waiting; `+n` duplicates, allowed only where a window is named."
    for group in GROUPS:
        yield ""
        yield f"### {TITLES[group]}"
        yield ""
        yield "| fault | SQLite | PostgreSQL | documented window |"
        yield "|---|---|---|---|"
        for one in (one for one in faults if one.group == group):
            cells = [_cell(results, one, database) for database in BOTH]
            name = f"{one.name} ({one.broker or one.cache})" if one.broker or one.cache else one.name
            yield f"| {_escaped(name)} | {cells[0]} | {cells[1]} | {_escaped(one.window) or '–'} |"
    yield ""


def _cell(results: Results, one: Fault, database: str) -> str:
    if database not in one.databases:
        return "–"
    result = results.fault(database, one)
    if result is None:
        return "not run"
    if result["verdict"] != "held":
        return f"**{result['verdict']}**: {_escaped(result['said'][:120])}"
    figures = result["figures"]
    told = f"{figures['accepted']} → {figures['arrived']}"
    told += "".join(f", {figures[name]} {name}" for name in ("dead", "waiting") if figures[name])
    return told + (f", +{figures['duplicates']}" if figures["duplicates"] else "")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _kills(results: Results) -> Iterator[str]:
    yield "## Random kills"
    yield ""
    yield "Two web processes take events, two workers send (on PostgreSQL one of them under Celery), and a process is killed by SIGKILL every"
    yield "0.05 to 0.5 s and up to 8 events and mails, drawn at random, and started again. After every 50 kills all that was accepted is waited for and counted."
    yield ""
    yield "| database | kills | of what | accepted | arrived | lost | duplicates | most copies | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for database, one in results.kept.get("kills", {}).items():
        what = ", ".join(f"{name} {count}" for name, count in sorted(one["killed"].items()))
        wrong = f" **{_escaped('; '.join(one['wrong'])[:200])}**" if one["wrong"] else ""
        yield (
            f"| {database} | {one['kills']} | {what}{wrong} | {one['accepted']} | {one['arrived']} | {one['lost']} "
            f"| {one['duplicates']} | {one['most_copies']} | {one['seconds']} |"
        )
    yield ""


def _crashes(results: Results) -> Iterator[str]:
    from tests.faults.crashes import POINTS

    yield "## Crash points"
    yield ""
    yield "The process dies by SIGKILL at a named function, and is started again, as often as the table says. After each death the rows are"
    yield "compared with what arrived: *out* is the most that was taken by the server and not recorded at one death. These alone may come again,"
    yield "one copy for each death that they were out at; where out is 0 nothing came twice. More copies than two come from dying again and again"
    yield "while the same mail is out."
    yield ""
    yield "| point | database | deaths | accepted | arrived | out | duplicates | most copies |"
    yield "|---|---|---|---|---|---|---|---|"
    for point in POINTS:
        for database in BOTH:
            one = results.crashes(database, point.name)
            if one is None:
                yield f"| {_escaped(point.name)} | {database} | not run | | | | | |"
                continue
            wrong = f" **{_escaped('; '.join(one['wrong'])[:200])}**" if one["wrong"] else ""
            yield (
                f"| {_escaped(point.name)}{wrong} | {database} | {one['deaths']} | {one['accepted']} | {one['arrived']} "
                f"| {one['most_out']} | {one['duplicates']} | {one['most_copies']} |"
            )
    yield ""


def _upgrade(results: Results) -> Iterator[str]:
    from tests.faults.upgrade import BEFORE

    yield "## Upgrade without downtime"
    yield ""
    yield f"The release before ({BEFORE}, as it stands in the history) and this one on one database, events coming in all the time: the one before"
    yield "alone, while the migrations run, and alone on the new schema, where its commands and pages go on; both, the same event sent to both;"
    yield "this release's web server with the other's worker, as after going back; this release alone. Nothing comes twice, but on SQLite, where a"
    yield "migration holds the whole database, what the release before had out meanwhile: it forgets what it cannot write within 30 s. A call may be made twice while"
    yield "workers of both run."
    yield ""
    yield "| database | accepted | arrived | duplicates |"
    yield "|---|---|---|---|"
    for database in BOTH:
        one = results.kept.get("upgrade", {}).get(database)
        if one is None:
            yield f"| {database} | not run | | |"
            continue
        wrong = f" **{_escaped('; '.join(one['wrong'])[:200])}**" if one["wrong"] else ""
        yield f"| {database}{wrong} | {one.get('accepted', 0)} | {one.get('arrived', 0)} | {one.get('duplicates', 0)} |"
    yield ""


def _soak(results: Results) -> Iterator[str]:
    yield "## Soak"
    yield ""
    soaks = results.kept.get("soak", {})
    if not soaks:
        yield "Not run."
        return
    for one in soaks.values():
        grown = one["grown"]
        yield f"**{'Grew: ' + '; '.join(grown) if grown else 'Nothing grew'}** in {one['minutes']} minutes at {one['rate']} mails a second on"
        yield f"{one['database']}, {one['at']}: {one['sent']} mails, none lost, none twice, {one['late']} waiting when the last event had come. Capacity was"
        yield f"measured as {one['capacity']} mails a second just before, with a load of {one['load']} on the machine during the run, its own included;"
        yield (
            "the rate was set by hand, for a machine that does other work."
            if one["is_set"]
            else "the rate is half of it."
        )
        yield "What is judged: memory, handles and connections of the second half against the first, after a fifth of the time; bytes of the tables"
        yield "a mail; dead rows, which autovacuum takes away."
        yield ""
        yield "| minute | memory of the worker, MB | file handles | connections to the database | tables, MB | dead rows | mails |"
        yield "|---|---|---|---|---|---|---|"
        for row in one["rows"]:
            yield "| " + " | ".join(str(value) for value in row) + " |"
        yield ""
