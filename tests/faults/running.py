"""Runs what was chosen, shows how far it is, keeps what came of it."""

import argparse
import os
import platform
import subprocess
import sys
import time
import tomllib
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.faults import report
from tests.faults.laboratory import ROOT, Laboratory, Skipped
from tests.faults.registry import BOTH, Fault, all_faults, judged

Case = tuple[str, Fault]


# What runs in a production; a change to tests or documents makes no other version.
PRODUCT = (
    "backoffice",
    "companies",
    "notifications",
    "shops",
    "templates",
    "static",
    "manage.py",
    "deploy",
    "requirements.txt",
)


def version() -> str:
    """Of the product: its release and the last commit that changed it, with a sign when more has changed since."""
    release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]

    def git(*words: str) -> str:
        return subprocess.run(["git", *words, "--", *PRODUCT], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    commit = git("log", "-1", "--format=%h") or "unknown"
    return f"{release} ({commit}{'+' if git('status', '--porcelain', '--untracked-files=no') else ''})"


def machine() -> str:
    lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    memory = next((line.split()[1] for line in lines if line.startswith("MemTotal")), "0")
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {int(memory) // 1024**2} GB, Python {platform.python_version()}"


class Bar:
    """How far it is: a line that is written over on a terminal, a line for each fault elsewhere."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._started = time.monotonic()
        self._live = sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._live:
            width = 24 * self._done // max(self._total, 1)
            sys.stderr.write(f"\r\033[K[{'#' * width}{'.' * (24 - width)}] {self._done}/{self._total} {text[:70]}")
            sys.stderr.flush()

    def done(self, verdict: str, text: str) -> None:
        self._done += 1
        if not self._live or verdict not in ("held", "skipped"):
            seconds = time.monotonic() - self._started
            sys.stderr.write(
                f"{chr(13) + chr(27) + '[K' if self._live else ''}{self._done}/{self._total} {seconds:6.0f} s  {verdict}: {text}\n"
            )

    def step(self, text: str) -> None:
        self._done += 1
        self.show(text)


def main(options: argparse.Namespace) -> int:
    """Returns the exit code: 0 when everything held."""
    results = report.Results.read()
    if options.report:
        report.write(results, machine())
        return 0
    cases = [] if options.no_faults else list(_chosen(options, results))
    if options.list:
        for database, one in cases:
            sys.stdout.write(f"{one.group:14} {database:10} {one.name}\n")
        return 0
    groups = options.group or []
    bar = Bar(len(cases))
    failed = _run_faults(cases, results, bar)
    databases = options.database or BOTH
    # A name alone chooses among the faults.
    if ("crashes" in groups or not groups and not options.only) and options.crashes:
        from tests.faults import crashes

        failed += crashes.run(
            databases, options.crashes, results, resume=options.resume, version=version(), only=options.only or ""
        )
    if ("kills" in groups or not groups and not options.only) and options.kills:
        from tests.faults import kills

        failed += kills.run(databases, options.kills, options.seed, results, resume=options.resume, version=version())
    if "upgrade" in groups or not groups and not options.only:
        from tests.faults import upgrade

        failed += upgrade.run(databases, results, version=version())
    report.write(results, machine())
    sys.stdout.write(f"failed={failed}; written to docs/reliability.md\n")
    return int(failed > 0)


def _chosen(options: argparse.Namespace, results: report.Results) -> Iterator[Case]:
    for database in options.database or BOTH:
        for one in all_faults():
            if database not in one.databases or options.group and one.group not in options.group:
                continue
            if options.only and options.only.lower() not in one.name.lower():
                continue
            if options.resume and results.has_held(database, one):
                continue
            yield database, one


def _run_faults(cases: Iterable[Case], results: report.Results, bar: Bar) -> int:
    failed = 0

    def kind(case: Case) -> tuple[str, str, str]:
        return case[0], case[1].broker, case[1].cache

    for (database, broker, cache), some in groupby(sorted(cases, key=kind), key=kind):
        faults = [one for _database, one in some]
        bar.show(f"building a laboratory on {database} {broker} {cache}")
        try:
            with Laboratory(database, broker=broker, cache=cache) as lab:
                for one in faults:
                    bar.show(f"{one.group}: {one.name} ({database})")
                    result = run_one(lab, one)
                    failed += result["verdict"] == "failed"
                    results.keep(database, one, result, version())
                    bar.done(result["verdict"], f"{one.group}: {one.name} ({database}) {result['said']}")
        except Skipped as reason:
            for one in faults:
                results.keep(
                    database, one, {"verdict": "skipped", "said": str(reason), "seconds": 0, "figures": {}}, version()
                )
                bar.done("skipped", f"{one.group}: {one.name} ({database}) {reason}")
    return failed


def run_one(lab: Laboratory, one: Fault) -> dict[str, Any]:
    """Do one fault on a fresh outbox; says what came of it."""
    started = time.monotonic()
    verdict, said, figures = "held", "", {}
    try:
        lab.fresh()
        one.does(lab)
        figures, wrong = judged(one, lab)
        if wrong:
            verdict, said = "failed", "; ".join(wrong[:5])
    except Skipped as reason:
        verdict, said = "skipped", str(reason)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        verdict, said = "failed", f"{type(error).__name__}: {error} ({last.name})"[:500]
    return {
        "verdict": verdict, "said": said, "figures": figures, "seconds": round(time.monotonic() - started, 1),
        "at": f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M}",
    }  # fmt: skip
