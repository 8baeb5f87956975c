"""Clocks that are ahead, behind, or jump. Processes are shifted with libfaketime, or told a time by `--at`."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults.laboratory import ROOT, Laboratory, Skipped
from tests.faults.registry import fault


def _library() -> str:
    for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        return str(path)
    raise Skipped("libfaketime is not installed (apt-get install libfaketime)")


class _Shifted:
    """A worker whose clock shows another time; ended with the block."""

    def __init__(self, lab: Laboratory, shift: str) -> None:
        environment = {
            **lab.environment, "LD_PRELOAD": _library(), "FAKETIME": shift, "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1", "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        }  # fmt: skip
        self._command = ([sys.executable, "manage.py", "deliver", "--watch"], environment)

    def __enter__(self) -> subprocess.Popen[bytes]:
        command, environment = self._command
        self._process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return self._process

    def __exit__(self, *_exc: object) -> None:
        self._process.kill()
        self._process.wait()


def _beside(lab: Laboratory, shift: str) -> None:
    """A worker of another time sends beside one of ours: each mail goes out once."""
    lab.smtp.after = {"END": 0.4}
    with _Shifted(lab, shift):
        lab.publish(40)
        lab.worker(settings={"DELIVERY_LEASE_SECONDS": 2})
        lab.settled(60)
        time.sleep(1)


@fault("a worker's clock is an hour ahead")
def _ahead(lab: Laboratory) -> None:
    _beside(lab, "+1h")


@fault("a worker's clock is an hour behind")
def _behind(lab: Laboratory) -> None:
    _beside(lab, "-1h")


@fault("a worker's clock is a year ahead")
def _year(lab: Laboratory) -> None:
    _beside(lab, "+365d")


@fault("a worker's clock runs ten times too fast")
def _fast(lab: Laboratory) -> None:
    _beside(lab, "+0 x10")


@fault("`deliver --once --at` of tomorrow beside a worker: it steals nothing", quick=True)
def _at(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 0.6}
    lab.publish(6)
    lab.worker(settings={"DELIVERY_LEASE_SECONDS": 2})
    lab.arrived(1)
    tomorrow = datetime.now(tz=UTC) + timedelta(days=1)
    for _time in range(3):
        lab.run("deliver", "--once", "--at", tomorrow.isoformat())
    lab.settled()


@fault("`deliver --once --at` of last year: nothing is due, nothing is lost")
def _at_past(lab: Laboratory) -> None:
    lab.smtp.replies = {"RCPT": "451 4.3.0 later"}
    lab.publish(3)
    past = datetime.now(tz=UTC) - timedelta(days=365)
    lab.run("deliver", "--once", "--at", past.isoformat())
    lab.smtp.replies.clear()
    lab.worker()
    lab.settled()


@fault("the night in which the clock is put back: reports and schedules go on")
def _summer(lab: Laboratory) -> None:
    lab.publish(3)
    for moment in ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2027-03-28T03:00:00+02:00"):
        done = lab.run("deliver", "--once", "--at", moment)
        assert done.poll() == 0, done.log
    lab.worker()
    lab.settled()


@fault("the clock of the database's leases is what counts: an hour of `--at` ends none")
def _leases(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 1.0}
    lab.publish(2)
    lab.worker()
    lab.until(lambda: lab.sql("SELECT 1 FROM notifications_delivery WHERE status = 'sending'"), "nothing is leased")
    later = datetime.now(tz=UTC) + timedelta(hours=1)
    assert "sent=0" in lab.run("deliver", "--once", "--at", later.isoformat()).output
    lab.settled()
