"""Units of systemd, containers and the proxy: they parse, name what exists, and their commands run."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from tests.deploy.processes import answers
from tests.ports import free_port
from tests.waiting import PATIENCE

ROOT = Path(settings.BASE_DIR)
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("backoffice-*"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
HOME = "/srv/backoffice/"
PYTHON = HOME + ".venv/bin/python"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
OURS = {name for name, service in COMPOSE["services"].items() if "build" in service}
LASTING = OURS - {"migrate"}


def entries(path: Path) -> list[tuple[str, str]]:
    """Settings of a unit, in their order; a name may come more than once."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    pairs = [line.partition("=") for line in lines if line and line[0] not in "#["]
    return [(name, value) for name, _sep, value in pairs]


def command(path: Path) -> list[str]:
    return shlex.split(dict(entries(path))["ExecStart"])


# --- systemd ------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    """Verified at another place: programs must exist where units name them."""
    for path in UNITS:
        text = path.read_text("utf-8").replace(HOME + ".venv/bin", str(Path(sys.executable).parent))
        (tmp_path / path.name).write_text(text)
    names = [str(tmp_path / path.name.replace("@.", "@1.")) for path in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "backoffice" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_services_run_as_nobody_special(path: Path) -> None:
    told = dict(entries(path))
    assert (told["User"], told["ProtectSystem"], told["NoNewPrivileges"]) == ("backoffice", "strict", "true")
    assert told["CapabilityBoundingSet"] == ""
    if told["Type"] != "oneshot":
        assert told["Restart"] == "always"
        assert int(told["TimeoutStopSec"]) > 30, "what is out may end"


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_services_start_what_exists(path: Path) -> None:
    program, *rest = command(path)
    assert program.startswith(HOME + ".venv/bin/")
    named = [part for part in rest if part.endswith(".py")]
    assert all((ROOT / name).is_file() for name in named)


def test_every_timer_has_its_service_and_comes_at_night() -> None:
    timers = [path for path in UNITS if path.suffix == ".timer"]
    assert {path.stem for path in timers} == {"backoffice-purge", "backoffice-backup"}
    for path in timers:
        assert path.with_suffix(".service") in SERVICES
        assert re.fullmatch(r"\*-\*-\* 0[1-5]:\d\d:00", dict(entries(path))["OnCalendar"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_the_web_server_of_the_unit_takes_over_a_socket_and_ends_quietly(process_env: dict[str, str]) -> None:
    """`systemd-socket-activate` hands the port over as the socket unit does."""
    activate = shutil.which("systemd-socket-activate")
    if activate is None:
        pytest.skip("systemd is not installed")
    _python, *arguments = command(DEPLOY / "systemd" / "backoffice-web.service")
    port = free_port()
    process = subprocess.Popen(
        [activate, f"--listen=127.0.0.1:{port}", *_set(process_env), sys.executable, *arguments],
        cwd=ROOT,
        env=process_env,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert answers(f"http://127.0.0.1:{port}/livez")
        probe = subprocess.run(
            [sys.executable, "deploy/probe.py", f"http://127.0.0.1:{port}/nowhere/"], cwd=ROOT, capture_output=True
        )
        assert probe.returncode == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


def _set(environment: dict[str, str]) -> list[str]:
    """Activation passes on nothing but what it is told to: the settings, which a checkout without `.env` has from here."""
    return [f"--setenv={name}={value}" for name, value in environment.items() if re.fullmatch(r"[A-Z][A-Z0-9_]*", name)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_worker_and_nightly_work_run_as_their_units_say(start_process: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("purge", "backup"):
        arguments = command(DEPLOY / "systemd" / f"backoffice-{name}.service")[1:]
        arguments = [str(tmp_path) if part == "/var/backups/backoffice" else part for part in arguments]
        process = start_process(*arguments)
        output, _none = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output
    assert len(list(tmp_path.iterdir())) == 1
    worker = start_process(*command(DEPLOY / "systemd" / "backoffice-worker@.service")[1:])
    assert worker.stdout.readline()
    worker.send_signal(signal.SIGTERM)
    output, _none = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0, output


# --- Containers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_containers_can_change_nothing_but_their_data(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    if name not in OURS:
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), "not root"
        assert re.search(r":v?\d", service["image"]), "of a version"
        assert service["healthcheck"]["test"][0] == "CMD"
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), "a proxy stands in front"


def test_containers_start_what_the_units_start() -> None:
    web = COMPOSE["services"]["web"]["command"]
    unit = command(DEPLOY / "systemd" / "backoffice-web.service")
    assert [part for part in web if part not in ("--bind", "0.0.0.0:8000")] == ["python", *unit[1:]]
    unit = command(DEPLOY / "systemd" / "backoffice-celery@.service")
    assert COMPOSE["services"]["worker"]["command"] == ["celery", *unit[1 : unit.index("--hostname")]]


def test_what_waits_for_another_waits_for_one_that_tells_its_state() -> None:
    for service in COMPOSE["services"].values():
        for name, condition in service.get("depends_on", {}).items():
            other = COMPOSE["services"][name]
            wanted = "service_completed_successfully" if name == "migrate" else "service_healthy"
            assert condition["condition"] == wanted
            assert name == "migrate" or "healthcheck" in other


def test_settings_of_the_containers_are_settings_of_the_product() -> None:
    known = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    example = set(re.findall(r"^([A-Z_]+)=", (DEPLOY / "compose.env.example").read_text("utf-8"), re.MULTILINE))
    others = {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"}
    assert {"SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "BASE_URL", *others} <= example
    assert example - others <= known
    assert set(COMPOSE["services"]["web"]["environment"]) <= known


def test_the_image_holds_what_it_copies_and_runs_as_somebody_without_rights() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    lines = re.sub(r"\\\n", " ", text).splitlines()
    copied = [part for line in lines if re.match(r"COPY (?!--from)", line) for part in line.split()[1:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {"backoffice", "companies", "shops", "notifications", "templates", "static", "locale"} <= set(copied)
    kept_out = (ROOT / ".containerignore").read_text("utf-8").splitlines()
    assert {".env", ".git", "var"} <= set(kept_out) and not set(kept_out) & set(copied)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001:10001"] and lines.index("USER 10001:10001") > max(
        n for n, line in enumerate(lines) if line.startswith("COPY")
    )
    assert "--require-hashes" in text


# --- The proxy ----------------------------------------------------------------------------------


def test_the_proxy_lets_through_what_the_product_takes() -> None:
    text = (DEPLOY / "nginx" / "backoffice.conf").read_text("utf-8")
    assert "client_max_body_size 12m;" in text and settings.FORM_MAX_BODY_BYTES == 12 * 1024 * 1024
    assert "X-Forwarded-For $remote_addr;" in text, "what a visitor wrote is not passed on"
    assert re.search(r"location = /metrics \{\s+return 404;", text)
    assert text.count("{") == text.count("}")


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_accepts_its_example(tmp_path: Path) -> None:
    text = (DEPLOY / "nginx" / "backoffice.conf").read_text("utf-8")
    text = (
        re.sub(r"(ssl_certificate\w*) .*;", "", text)
        .replace("443 ssl http2", "8443")
        .replace("/var/log/nginx", str(tmp_path))
    )
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid; events {{}} http {{ {text} }}")
    done = subprocess.run(["nginx", "-t", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)], capture_output=True)
    assert b"syntax is ok" in done.stderr, done.stderr.decode()
