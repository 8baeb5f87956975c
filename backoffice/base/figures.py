"""Figures for Prometheus: gauges that are set right before they are asked for, and the page of all processes.

Under gunicorn several processes answer. What each of them counts (requests, log-ins) is kept in files that all of them
read (`PROMETHEUS_MULTIPROC_DIR`, made by `deploy/gunicorn.conf.py`), so that the sums are the same whichever answers.
A gauge of the database is none of that: it is read when it is asked for, and belongs to no process.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# One page at a time: what another one measures would stand half in this one.
_lock = Lock()
_measured: "list[Measured]" = []
_FILE_OF_PROCESS = re.compile(r"_(\d+)\.db\Z")


class Measured(Collector):
    """A gauge that is set as a whole before each page."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self.name, self._documentation, self._labelnames = name, documentation, tuple(labels)
        self._values: dict[tuple[str, ...], float] = {}
        REGISTRY.register(self)
        _measured.append(self)

    def set(self, value: float, *labels: str) -> None:
        """Set the value for these labels."""
        self._values[labels] = float(value)

    def clear(self) -> None:
        """Remove all values, so that what is not measured again is no longer exported."""
        self._values.clear()

    def describe(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(self.name, self._documentation, labels=self._labelnames)

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self.name, self._documentation, labels=self._labelnames)
        for labels, value in sorted(self._values.items()):
            family.add_metric(labels, value)
        yield family


class _Processes(Collector):
    """Memory and open files of the running processes of this web server."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterator[Metric]:
        pids = {int(match[1]) for path in self._folder.glob("*.db") if (match := _FILE_OF_PROCESS.search(path.name))}
        memory, files, living = 0, 0, 0
        for pid in pids:
            process = Path(f"/proc/{pid}")
            try:
                memory += int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
                files += len(list((process / "fd").iterdir()))
            except (OSError, IndexError):
                continue
            living += 1
        yield GaugeMetricFamily("process_resident_memory_bytes", "Memory of all processes of this web server.", memory)
        yield GaugeMetricFamily("process_open_fds", "Open files of all processes of this web server.", files)
        yield GaugeMetricFamily("bom_web_processes", "Processes of this web server.", living)


def page(measure: Callable[[], None]) -> bytes:
    """All figures as Prometheus reads them, of all processes of this web server.

    Args:
        measure: sets the measured ones.
    """
    with _lock:
        measure()
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
        if not folder:
            return generate_latest(REGISTRY)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        registry.register(_Processes(folder))
        for one in _measured:
            registry.register(one)
        return generate_latest(registry)
