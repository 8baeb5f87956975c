"""What the Makefile runs: `python -m backoffice.dev COMMAND`, on a bare Python 3.11 or newer.

Only the standard library may be imported at module level: this file creates the virtual
environment that everything else lives in.
"""

import base64
import ctypes
import hashlib
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
APPS = ("backoffice", "companies", "shops", "notifications")
CATALOGUE = Path("locale/en/LC_MESSAGES/django.po")
POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")


def say(text: str) -> None:
    print(text, flush=True)


def fail(text: str) -> NoReturn:
    print(f"\n{text}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def run(*command: str | Path, **environment: str) -> int:
    """Run a command in the repository root; returns its exit code."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, **environment}).returncode


def manage(*arguments: str, **environment: str) -> None:
    if run(PYTHON, "manage.py", *arguments, **environment):
        fail(f"manage.py {' '.join(arguments)} failed; the reason is above.")


class Steps:
    """Named steps with their time; failures are collected, not raised, so that all are seen."""

    def __init__(self) -> None:
        self.results: list[tuple[str, str, float]] = []

    def step(self, name: str, work: Callable[[], int | str]) -> None:
        """Run `work`: 0 passed, another number failed, a text is the reason of a skip."""
        say(f"\n── {name}")
        started = time.monotonic()
        outcome = work()
        if isinstance(outcome, str):
            verdict = f"{'FAILED' if IN_CI else 'SKIPPED'}: {outcome}"
            say(verdict)
        else:
            verdict = "passed" if outcome == 0 else "FAILED"
        self.results.append((name, verdict, time.monotonic() - started))

    def finish(self) -> NoReturn:
        say("\n── Summary")
        for name, verdict, seconds in self.results:
            say(f"{seconds:7.1f} s  {name}: {verdict}")
        say(f"{sum(seconds for *_rest, seconds in self.results):7.1f} s  in all")
        raise SystemExit(any(verdict.startswith("FAILED") for _name, verdict, _seconds in self.results))


# --- The virtual environment --------------------------------------------------------------------


def ensure_environment(*, dev: bool) -> None:
    """Create `.venv` and install the pinned requirements, unless exactly that was done before."""
    files = ["requirements.txt", "requirements-dev.txt"] if dev else ["requirements.txt"]
    if _stamped("dev") or (not dev and _stamped("run")):
        say(f"Environment: {VENV.name} is up to date.")
        return
    if not _works(PYTHON):
        say(f"Environment: creating {VENV.name} with Python {sys.version.split()[0]}.")
        _create_venv()
    say(f"Environment: installing {files[-1]} (a minute or two the first time).")
    code = run(
        PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r", files[-1],
        PIP_ROOT_USER_ACTION="ignore",
    )  # fmt: skip
    if code:
        fail("pip could not install the requirements; its message is above. Is the network reachable?")
    _stamp("dev" if dev else "run").write_text(_digest("dev" if dev else "run"))


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
    """What the environment was made of: the requirement files, and the place (a moved one is remade)."""
    names = ["requirements.txt"] + (["requirements-dev.txt"] if kind == "dev" else [])
    return hashlib.sha256(b"\0".join([str(ROOT).encode(), *((ROOT / name).read_bytes() for name in names)])).hexdigest()


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


# --- make run -----------------------------------------------------------------------------------


def command_setup() -> None:
    ensure_environment(dev=True)
    _write_env_file(_port())


def command_run() -> None:
    port = _port()
    _refuse_busy_port(port)
    say("1. Python environment")
    ensure_environment(dev=False)
    say("2. Settings")
    _write_env_file(port)
    environment = {"BASE_URL": _base_url(port), "PORT": str(port)}
    say("3. Database: migrations and cache table")
    manage("migrate", "--verbosity", "0", **environment)
    manage("createcachetable", "--verbosity", "0", **environment)
    say("4. Demonstration data")
    manage("demo", **environment)
    say("5. Web server and delivery worker")
    web = [
        "gunicorn", "backoffice.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8",
        "--log-level", "warning",
    ]  # fmt: skip
    _serve(
        {
            "web server": [str(PYTHON), "-m", *web],
            "delivery worker": [str(PYTHON), "manage.py", "deliver", "--watch"],
        },
        environment,
        f"http://127.0.0.1:{port}/livez",
        f"Ready: {environment['BASE_URL']}   (Ctrl-C stops)",
    )


def _port() -> int:
    text = os.environ.get("PORT") or _env_file().get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        fail(f"PORT={text} is not a port number. Example: make run PORT=9000")
    return int(text)


def _refuse_busy_port(port: int) -> None:
    with socket.socket() as probe:
        # As the server will do it: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = "may not be opened by this user" if isinstance(error, PermissionError) else "is already in use"
            fail(
                f"Port {port} {reason}. Stop what uses it, or choose another: make run PORT={port + 1 if port < 65535 else 8000}"
            )


def _env_file() -> dict[str, str]:
    """The plain NAME=value lines of `.env`."""
    path = ROOT / ".env"
    if not path.exists():
        return {}
    lines = (line.strip().removeprefix("export ") for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _sep, value in pairs}


def _write_env_file(port: int) -> None:
    path = ROOT / ".env"
    if path.exists():
        say("   .env exists and is kept.")
        return
    text = f"""\
# Written by `make run` for this machine. All variables: see .env.example.
SECRET_KEY={secrets.token_urlsafe(50)}
FIELD_ENCRYPTION_KEYS=k1:{base64.b64encode(secrets.token_bytes(32)).decode()}
BASE_URL=http://localhost:{port}
MFA_REQUIRED=false
"""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    say("   .env written, with fresh keys; second factor not required on this machine.")


def _base_url(port: int) -> str:
    """BASE_URL follows the port, unless somebody gave it another host on purpose."""
    chosen = os.environ.get("BASE_URL") or _env_file().get("BASE_URL", "")
    if not chosen or re.fullmatch(r"http://(localhost|127\.0\.0\.1)(:\d+)?/?", chosen):
        return f"http://localhost:{port}"
    return chosen


def _serve(commands: dict[str, list[str]], environment: dict[str, str], probe: str, ready: str) -> NoReturn:
    """Run the commands until a signal comes (exit 0) or one of them ends (exit 1); stop all."""
    asked: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    processes = {
        name: subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            # Ctrl-C reaches this process only, which then stops the others in order.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        for name, command in commands.items()
    }
    ended: list[str] = []
    announced = False
    while not asked and not ended:
        if not announced and _answers(probe):
            say(f"\n{ready}")
            announced = True
        time.sleep(0.2)
        ended = [name for name, process in processes.items() if process.poll() is not None]
    say("\nStopping." if asked else f"\nThe {ended[0]} ended by itself; stopping the rest.")
    for process in processes.values():
        with suppress(ProcessLookupError):
            process.terminate()
    deadline = time.monotonic() + 15
    for process in processes.values():
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    raise SystemExit(0 if asked else 1)


def _die_with_parent() -> None:
    """On Linux the kernel ends the child when this process is killed outright."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 (a fixed local address)
            return bool(answer.status == 200)
    except OSError:
        return False


# --- make test ----------------------------------------------------------------------------------


def command_test() -> None:
    steps = Steps()
    ensure_environment(dev=True)
    extra = shlex.split(os.environ.get("ARGS", ""))
    base = ["-m", "pytest", "-q", *extra]
    parallel = ["-n", "2"]

    def suite(*arguments: str, **environment: str) -> int:
        code = run(PYTHON, *base, *arguments, **environment)
        return 0 if code == 5 and (extra or "-m" in arguments) else code  # 5: no test has that marker

    def browser() -> int | str:
        if not shutil.which("chromium") and not apt_install("chromium"):
            return "chromium is not installed; on Debian: apt-get install chromium"
        return suite(*parallel, "-m", "browser")

    def postgres() -> int | str:
        probe = "import psycopg, sys; psycopg.connect(sys.argv[1], connect_timeout=3).close()"
        url = POSTGRES_URL.replace("postgres://", "postgresql://", 1)
        if subprocess.run([PYTHON, "-c", probe, url], capture_output=True).returncode:
            return f"no PostgreSQL answers at {re.sub(r':[^:@/]+@', ':***@', POSTGRES_URL)} (set TEST_POSTGRES_URL)"
        return suite(*parallel, "-m", "not browser and not rabbitmq and not redis", DATABASE_URL=POSTGRES_URL)

    steps.step("Tests on SQLite", lambda: suite(*parallel, "-m", "not browser and not rabbitmq and not redis"))
    steps.step("Tests in a browser", browser)
    steps.step("Tests on PostgreSQL", postgres)
    for name, port in (("rabbitmq", 5672), ("redis", 6379)):
        steps.step(f"Tests with {name}", lambda name=name, port=port: _broker(suite, name, port))  # type: ignore[misc]
    steps.finish()


def _broker(suite: Callable[..., int], name: str, port: int) -> int | str:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return f"{name} does not answer on 127.0.0.1:{port}"
    return suite("-m", name)


# --- make check ---------------------------------------------------------------------------------


def command_check() -> None:
    ensure_environment(dev=True)
    steps = Steps()
    development = {"DEBUG": "true"}
    steps.step("Lint (ruff)", lambda: run(PYTHON, "-m", "ruff", "check", "."))
    steps.step("Format (ruff)", lambda: run(PYTHON, "-m", "ruff", "format", "--check", "."))
    steps.step("Types (mypy)", lambda: run(PYTHON, "-m", "mypy", **development))
    steps.step("Templates (djlint)", lambda: run(PYTHON, "-m", "djlint", *_template_folders(), "--lint", "--quiet"))
    steps.step(
        "Pending migrations",
        lambda: run(PYTHON, "manage.py", "makemigrations", "--check", "--dry-run", **development),
    )
    steps.step("Production settings", _check_deploy)
    steps.step("Translations", lambda: run(PYTHON, "-m", "backoffice.dev", "translations"))
    steps.step("Translations cover the source", _check_sources_translated)
    steps.step("Left-overs", _check_leftovers)
    steps.finish()


def _template_folders() -> list[str]:
    return [name for name in ("templates", *(f"{app}/templates" for app in APPS)) if (ROOT / name).is_dir()]


def _check_deploy() -> int:
    with tempfile.TemporaryDirectory() as folder:
        return run(
            PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING",
            DEBUG="false",
            SECRET_KEY=secrets.token_urlsafe(50),
            FIELD_ENCRYPTION_KEYS="k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            BASE_URL="https://backoffice.example",
            DATABASE_URL=f"sqlite:///{folder}/check.sqlite3",
            MFA_REQUIRED="true",
        )  # fmt: skip


def _check_sources_translated() -> int | str:
    """Extract the strings again, in a copy, and compare them with the committed catalogue."""
    if not shutil.which("xgettext") and not apt_install("gettext"):
        return "xgettext is not installed; on Debian: apt-get install gettext"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in (*APPS, "templates", "locale"):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "manage.py", copy)
        code = _makemessages(copy)
        if code:
            return code
        return run(PYTHON, "-m", "backoffice.dev", "same-strings", str(ROOT / CATALOGUE), str(copy / CATALOGUE))


LEFTOVERS = re.compile(r"^(<{7}|>{7}) |\b(TODO|FIXME)\b|\bbreakpoint\(\)|lorem ipsum", re.MULTILINE | re.IGNORECASE)


def _check_leftovers() -> int:
    found = 0
    for path in _source_files():
        text = path.read_text(encoding="utf-8")
        for match in LEFTOVERS.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            say(f"{path.relative_to(ROOT)}:{line}: {match.group().strip()}")
            found += 1
    return int(found > 0)


def _source_files() -> Iterable[Path]:
    for name in (*APPS, "templates", "static", "tests", "docs"):
        for path in sorted((ROOT / name).rglob("*")):
            if path.suffix in {".py", ".html", ".txt", ".css", ".js", ".md"} and path != Path(__file__).resolve():
                yield path


# --- Translations -------------------------------------------------------------------------------


def _makemessages(folder: Path) -> int:
    return subprocess.run(
        [
            PYTHON, "manage.py", "makemessages", "--locale", "en", "--no-obsolete", "--no-wrap", "--add-location", "file",
            "--extension", "html,txt,py", "--ignore", ".venv", "--ignore", "var", "--ignore", "tests", "--ignore", "bench",
        ],
        cwd=folder,
        env={**os.environ, "DEBUG": "true", "DATABASE_URL": "sqlite:///var/messages.sqlite3"},
    ).returncode  # fmt: skip


def command_messages() -> None:
    """Bring the English catalogue up to date with the sources, and compile it."""
    ensure_environment(dev=True)
    if not shutil.which("xgettext") and not apt_install("gettext"):
        fail("xgettext is needed; on Debian: apt-get install gettext")
    (ROOT / "locale").mkdir(exist_ok=True)
    if _makemessages(ROOT):
        fail("makemessages failed; the reason is above.")
    manage("compilemessages", "--locale", "en", "--ignore", ".venv", "--verbosity", "0", DEBUG="true")
    run(PYTHON, "-m", "backoffice.dev", "translations")


def command_translations() -> None:
    problems = catalogue_problems(ROOT / CATALOGUE)
    for problem in problems:
        say(problem)
    raise SystemExit(bool(problems))


def command_same_strings(committed: str, extracted: str) -> None:
    """Fail when extracting the strings again would add or remove one."""
    import polib

    if not Path(committed).exists():
        fail(f"{CATALOGUE} does not exist: run make messages")
    before, after = ({_key(entry) for entry in polib.pofile(path)} for path in (committed, extracted))
    for _context, text in sorted(after - before):
        say(f"not in the catalogue (run make messages): {text!r}")
    for _context, text in sorted(before - after):
        say(f"no longer in the sources (run make messages): {text!r}")
    raise SystemExit(before != after)


def catalogue_problems(catalogue: Path) -> list[str]:
    """What is wrong with a `.po` file and the `.mo` beside it, one sentence each.

    Missing, fuzzy and obsolete translations, placeholders lost in translation, and a `.mo` that
    says something else than the `.po`.
    """
    import polib

    if not catalogue.exists():
        return [f"{catalogue.name} does not exist: run make messages"]
    po = polib.pofile(str(catalogue))
    problems = [f"obsolete: {entry.msgid!r}" for entry in po.obsolete_entries()]
    for entry in po:
        if entry.obsolete:
            continue
        translations = list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
        if not all(translations):
            problems.append(f"missing: {entry.msgid!r}")
        elif "fuzzy" in entry.flags:
            problems.append(f"fuzzy: {entry.msgid!r}")
        elif not entry.msgid_plural and _placeholders(entry.msgid) != _placeholders(entry.msgstr):
            problems.append(f"other placeholders: {entry.msgid!r} → {entry.msgstr!r}")
    compiled = catalogue.with_suffix(".mo")
    if not compiled.exists():
        return [*problems, f"{compiled.name} does not exist: run make messages"]
    wanted = {_key(entry): _value(entry) for entry in po.translated_entries()}
    if wanted != {_key(entry): _value(entry) for entry in polib.mofile(str(compiled))}:
        problems.append(f"{compiled.name} is older than {catalogue.name}: run make messages")
    return problems


def _key(entry: Any) -> tuple[str, str]:
    return entry.msgctxt or "", entry.msgid


def _value(entry: Any) -> Any:
    return {int(form): text for form, text in entry.msgstr_plural.items()} or entry.msgstr


def _placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[a-z]|%[sd]|\{\w*\}", text))


# --- The rest -----------------------------------------------------------------------------------


def command_bench() -> None:
    ensure_environment(dev=True)
    raise SystemExit(run(PYTHON, "-m", "bench", *shlex.split(os.environ.get("ARGS", ""))))


def command_clean() -> None:
    """Remove what can be made again: environment, caches, test databases. Data and .env stay."""
    shutil.rmtree(VENV, ignore_errors=True)
    for name in (".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "var/static"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for path in (ROOT / "var").glob("test.sqlite3*"):
        path.unlink()
    for name in (*APPS, "tests", "bench"):
        for folder in list((ROOT / name).rglob("__pycache__")):
            shutil.rmtree(folder, ignore_errors=True)
    say("Removed the environment, caches and test databases. Kept .env and the data under var/.")


COMMANDS: dict[str, Callable[..., None]] = {
    "setup": command_setup,
    "run": command_run,
    "test": command_test,
    "check": command_check,
    "bench": command_bench,
    "clean": command_clean,
    "messages": command_messages,
    "translations": command_translations,
    "same-strings": command_same_strings,
}


def main(arguments: list[str]) -> None:
    if not arguments or arguments[0] not in COMMANDS:
        fail(f"usage: python -m backoffice.dev {'|'.join(COMMANDS)}")
    COMMANDS[arguments[0]](*arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
