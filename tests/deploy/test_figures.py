"""Figures of a web server of several processes: the same sums, whichever process answers."""

import re
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from tests.deploy.processes import answers
from tests.ports import free_port
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]


def value(text: str, name: str) -> float:
    """The sum of a figure over all its labels."""
    return sum(float(found) for found in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.MULTILINE))


def test_requests_are_counted_over_all_processes(
    start_process: Callable[..., subprocess.Popen[str]], process_env: dict[str, str]
) -> None:
    port = free_port()
    process_env.update(BASE_URL="http://localhost:8000", DEBUG="true", METRICS_TOKEN="scraper")
    config = Path(settings.BASE_DIR) / "deploy" / "gunicorn.conf.py"
    bind = ["--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "1"]
    server = start_process("-m", "gunicorn", "--config", str(config), *bind, "backoffice.wsgi")

    def get(path: str) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/{path}", headers={"Authorization": "Bearer scraper", "Host": "localhost"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    assert answers(f"http://127.0.0.1:{port}/livez")
    folders = set(Path("/dev/shm").glob(f"backoffice-figures-{server.pid}-*"))
    counted = "django_http_responses_total_by_status_total"
    before = value(get("metrics"), counted)
    for _n in range(20):
        get("livez")
    texts = [get("metrics") for _n in range(6)]
    sums = [value(text, counted) for text in texts]
    assert sums == [before + 21 + n for n in range(6)], "each scrape is counted for the next one"
    assert [value(text, "bom_web_processes") for text in texts] == [2] * 6
    assert all(value(text, "process_resident_memory_bytes") > 10_000_000 for text in texts)
    # A gauge of the database belongs to no process, and is told once.
    assert all(len(re.findall(r"^bom_tick_age_seconds ", text, re.MULTILINE)) == 1 for text in texts)
    assert all("pid=" not in text for text in texts)
    server.terminate()
    server.wait(PATIENCE)
    assert not any(folder.exists() for folder in folders), "nothing is left in memory"
