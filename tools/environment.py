"""The machine that `make` finds: virtual environment, Debian packages, `.env`, port. Standard library only."""

import base64
import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
# The list of each kind of environment; each is complete by itself.
LISTS = {"run": "requirements.txt", "dev": "requirements-dev.txt"}


def say(text: str) -> None:
    print(text, flush=True)


def fail(text: str) -> NoReturn:
    print(f"\n{text}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def run(*command: str | Path, **environment: str) -> int:
    """Run a command in the repository root; returns its exit code."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, **environment}).returncode


# --- The virtual environment --------------------------------------------------------------------


def ensure(*, dev: bool) -> None:
    """Create `.venv` and install the pinned requirements, unless exactly that was done before."""
    kind = "dev" if dev else "run"
    if _stamped("dev") or (not dev and _stamped("run")):
        say(f"Environment: {VENV.name} is up to date.")
        return
    if not _works(PYTHON):
        say(f"Environment: creating {VENV.name} with Python {sys.version.split()[0]}.")
        _create_venv()
    say(f"Environment: installing {LISTS[kind]} (a minute or two the first time).")
    # The list is complete, so pip has nothing to resolve; a file that is not the one we meant is refused.
    code = run(
        PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
        "--no-deps", "--require-hashes", "-r", LISTS[kind],
        PIP_ROOT_USER_ACTION="ignore",
    )  # fmt: skip
    if code:
        fail("pip could not install the requirements; its message is above. Is the network reachable?")
    _stamp(kind).write_text(_digest(kind))


def _create_venv() -> None:
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode and IN_CI and apt_install("python3-venv"):
        made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        text = made.stdout + made.stderr
        if "ensurepip" in text or "No module named venv" in text:
            fail(
                f"Python {sys.version.split()[0]} has no working venv module. On Debian or Ubuntu:\n"
                "    apt-get install python3-venv\nand start again."
            )
        fail(f"The virtual environment could not be created:\n{text}")


def _works(python: Path) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import pip, sys; sys.exit(sys.version_info < (3, 11))"], capture_output=True
        )
    except OSError:
        return False
    return done.returncode == 0


def _stamp(kind: str) -> Path:
    return VENV / f".requirements-{kind}"


def _digest(kind: str) -> str:
    """What the environment was made of: the list, and the place (a moved one is remade)."""
    return hashlib.sha256(str(ROOT).encode() + b"\0" + (ROOT / LISTS[kind]).read_bytes()).hexdigest()


def _stamped(kind: str) -> bool:
    stamp = _stamp(kind)
    return stamp.exists() and stamp.read_text() == _digest(kind) and _works(PYTHON)


def apt_install(*packages: str) -> bool:
    """Install Debian packages when we may; False when we may not or it failed."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    say(f"Installing {' '.join(packages)} with apt-get.")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    if not os.environ.get("APT_UPDATED"):
        run("apt-get", "update", "-qq", **quiet)
        os.environ["APT_UPDATED"] = "1"
    return run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, **quiet) == 0


# --- Settings of this machine -------------------------------------------------------------------


def port() -> int:
    text = os.environ.get("PORT") or env_file().get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        fail(f"PORT={text} is not a port number. Example: make run PORT=9000")
    return int(text)


def refuse_busy_port(number: int) -> None:
    with socket.socket() as probe:
        # As the server will do it: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            reason = "may not be opened by this user" if isinstance(error, PermissionError) else "is already in use"
            other = number + 1 if number < 65535 else 8000
            fail(f"Port {number} {reason}. Stop what uses it, or choose another: make run PORT={other}")


def env_file() -> dict[str, str]:
    """The plain NAME=value lines of `.env`."""
    path = ROOT / ".env"
    if not path.exists():
        return {}
    lines = (line.strip().removeprefix("export ") for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _sep, value in pairs}


def write_env_file(number: int) -> None:
    path = ROOT / ".env"
    if path.exists():
        say("   .env exists and is kept.")
        return
    text = f"""\
# Written by `make run` for this machine. All variables: see .env.example.
SECRET_KEY={secrets.token_urlsafe(50)}
FIELD_ENCRYPTION_KEYS=k1:{base64.b64encode(secrets.token_bytes(32)).decode()}
BASE_URL=http://localhost:{number}
MFA_REQUIRED=false
"""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    say("   .env written, with fresh keys; second factor not required on this machine.")


def base_url(number: int) -> str:
    """BASE_URL follows the port, unless somebody gave it another host on purpose."""
    chosen = os.environ.get("BASE_URL") or env_file().get("BASE_URL", "")
    if not chosen or re.fullmatch(r"http://(localhost|127\.0\.0\.1)(:\d+)?/?", chosen):
        return f"http://localhost:{number}"
    return chosen
