"""Half an hour at half of the measured capacity: does memory, a handle, a connection or a table grow without need?

On a private PostgreSQL, with the laboratory's mail server (`tests/faults`). Events come through a pipe to `publish`, one worker
sends. The figures and the verdict go into docs/reliability.md; the exit code is 1 when something grew or was lost.

On a machine that does other work the capacity of one moment says little of the next half hour: `--rate` sets what is sent.
"""

import argparse
import json
import os
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults import checker, report
from tests.faults.laboratory import Laboratory, Running
from tests.faults.running import machine, version

TABLES = ("event", "message", "delivery", "attempt")
# What a process needs first is no growth: from this share of the time on it must stand.
SETTLED = 0.2
# Of memory, in the time that is left, beside what a sample differs from the next.
MEMORY_MB = 8.0
# Dead rows are made by each mail and taken away by autovacuum, which comes once a fifth of a table is dead, and takes its turns.
DEAD_SHARE = 0.5


def capacity(lab: Laboratory, count: int) -> float:
    """Mails a second that are accepted and sent at the same time, as fast as they can be."""
    lab.fresh()
    lab.worker()
    began = time.monotonic()
    for _part in range(4):
        lab.publish(count // 4)
    lab.settled(600)
    return count / (time.monotonic() - began)


def resident(process: Running) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return round(int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024, 1)


def sample(lab: Laboratory, worker: Running, minute: int) -> list[Any]:
    names = ", ".join(f"'notifications_{table}'" for table in TABLES)
    size = lab.sql(f"SELECT SUM(pg_total_relation_size(relid)) FROM pg_stat_user_tables WHERE relname IN ({names})")[0][
        0
    ]
    rotten = lab.sql(f"SELECT SUM(n_dead_tup) FROM pg_stat_user_tables WHERE relname IN ({names})")[0][0]
    links = lab.sql("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = 'lab' AND pid <> pg_backend_pid()")[0][0]
    handles = len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))
    return [minute, resident(worker), handles, links, round(int(size) / 1024**2, 1), int(rotten), len(lab.smtp.mails)]


def verdict(rows: list[list[Any]]) -> list[str]:
    """What grew that should not have; `rows` as `sample` gives them."""
    grown = []
    settled = rows[int(len(rows) * SETTLED) :]
    half = len(settled) // 2
    if half < 2:
        return ["too short to tell"]
    for place, name, slack in ((1, "memory", MEMORY_MB), (2, "file handles", 2), (3, "connections", 2)):
        early, late = (statistics.median(row[place] for row in part) for part in (settled[:half], settled[half:]))
        if late > early + slack:
            grown.append(f"{name}: {early} → {late}")
    # The end is over already: its connections are closed, its tables hold the same bytes.
    first, last = settled[0], rows[-1]
    kilobytes = [1024 * row[4] / row[6] for row in (first, last) if row[6]]
    if len(kilobytes) == 2 and kilobytes[1] > 1.25 * kilobytes[0]:
        grown.append(f"tables: {kilobytes[0]:.1f} → {kilobytes[1]:.1f} KB a mail")
    if last[5] > DEAD_SHARE * 4 * last[6] + 1000:
        grown.append(f"dead rows: {last[5]} of {last[6]} mails")
    return grown


def soak(lab: Laboratory, minutes: int, rate: float) -> dict[str, Any]:
    lab.fresh()
    pipe = lab.folder / "soak.pipe"
    os.mkfifo(pipe)
    publisher = lab.start("publish", "-", stdin=str(pipe))
    worker = lab.worker()
    rows: list[list[Any]] = []
    loads: list[float] = []
    began = time.monotonic()
    with pipe.open("w") as events:
        sent = 0
        while (elapsed := time.monotonic() - began) < minutes * 60:
            due = int(elapsed * rate) - sent
            for event in lab.events(max(due, 0)):
                events.write(json.dumps(event) + "\n")
                lab.accepted.append(event["id"])
            events.flush()
            sent += max(due, 0)
            if elapsed >= 60 * len(rows):
                rows.append(sample(lab, worker, len(rows)))
                loads.append(os.getloadavg()[0])
                sys.stdout.write(f"{rows[-1]} load={loads[-1]:.0f} open={checker.open_count(lab.url)}\n")
                sys.stdout.flush()
            time.sleep(0.25)
    late = checker.open_count(lab.url)
    publisher.wait(300)
    lab.settled(600)
    rows.append(sample(lab, worker, minutes))
    count = lab.count()
    assert f"accepted={sent}" in publisher.output, publisher.output
    assert (count.arrived, count.duplicates, count.wrong) == (sent, 0, []), count
    return {
        "minutes": minutes,
        "rate": round(rate, 1),
        "rows": rows,
        "sent": count.arrived,
        "late": late,
        "loads": loads,
    }


def main(minutes: int, rate: float) -> int:
    with Laboratory("postgresql") as lab:
        most = capacity(lab, 1200)
        sys.stdout.write(f"capacity: {most:.0f} mails a second\n")
        told = soak(lab, minutes, rate or most / 2)
    grown = verdict(told["rows"])
    told |= {
        "capacity": round(most, 1), "database": "PostgreSQL", "at": f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M}", "grown": grown,
        "is_set": bool(rate), "versions": [version()], "load": round(statistics.mean(told.pop("loads")), 1),
    }  # fmt: skip
    results = report.Results.read()
    results.keep_part("soak", "postgresql", told)
    report.write(results, machine())
    sys.stdout.write(f"grown: {'; '.join(grown) or 'nothing'}; written to docs/reliability.md\n")
    return int(bool(grown))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument(
        "--rate", type=float, default=0.0, help="mails a second; half of the measured capacity without it"
    )
    chosen = parser.parse_args()
    sys.exit(main(chosen.minutes, chosen.rate))
