"""The first step of every `make` target: `python3 -m tools.bootstrap COMMAND`, on a bare Python 3.11 or newer.

    dev     make the environment for development; the Makefile goes on with what lives in it
    setup   the same, and write `.env`
    run     make the smaller environment, the data base and its demonstration data, and serve
    clean   remove what can be made again

Only the standard library may be imported: this creates the virtual environment that everything else lives in.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from tools import environment
from tools.environment import PYTHON, ROOT, VENV, fail, run, say
from tools.serve import serve


def manage(*arguments: str, **variables: str) -> None:
    if run(PYTHON, "manage.py", *arguments, **variables):
        fail(f"manage.py {' '.join(arguments)} failed; the reason is above.")


def command_dev() -> None:
    environment.ensure(dev=True)


def command_setup() -> None:
    environment.ensure(dev=True)
    environment.write_env_file(environment.port())


def command_run() -> None:
    port = environment.port()
    environment.refuse_busy_port(port)
    say("1. Python environment")
    environment.ensure(dev=False)
    say("2. Settings")
    environment.write_env_file(port)
    variables = {"BASE_URL": environment.base_url(port), "PORT": str(port)}
    say("3. Database: migrations and cache table; beside them static files are compressed")
    static = subprocess.Popen(
        [PYTHON, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"],
        cwd=ROOT,
        env={**os.environ, **variables},
    )
    manage("migrate", "--verbosity", "0", **variables)
    manage("createcachetable", "--verbosity", "0", **variables)
    say("4. Demonstration data")
    manage("demo", **variables)
    if static.wait():
        fail("manage.py collectstatic failed; the reason is above.")
    say("5. Web server and delivery worker")
    web = [
        "gunicorn", "backoffice.wsgi", "--config", "deploy/gunicorn.conf.py", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8",
        "--log-level", "warning",
    ]  # fmt: skip
    serve(
        {
            "web server": [str(PYTHON), "-m", *web],
            "delivery worker": [str(PYTHON), "manage.py", "deliver", "--watch"],
        },
        variables,
        f"http://127.0.0.1:{port}/livez",
        f"Ready: {variables['BASE_URL']}   (Ctrl-C stops)",
    )


def command_clean() -> None:
    """Remove what can be made again: environment, caches, test databases. Data and .env stay."""
    shutil.rmtree(VENV, ignore_errors=True)
    for name in (
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".import_linter_cache",
        ".hypothesis",
        "var/static",
    ):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for path in [*(ROOT / "var").glob("test*.sqlite3*"), *(ROOT / "var").glob("coverage*")]:
        path.unlink()
    for name in ("backoffice", "companies", "shops", "notifications", "tests", "bench", "tools"):
        for folder in list((ROOT / name).rglob("__pycache__")):
            shutil.rmtree(folder, ignore_errors=True)
    say("Removed the environment, caches and test databases. Kept .env and the data under var/.")


COMMANDS: dict[str, Callable[[], None]] = {
    "dev": command_dev,
    "setup": command_setup,
    "run": command_run,
    "clean": command_clean,
}


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        fail(f"usage: python3 -m tools.bootstrap {'|'.join(COMMANDS)}")
    COMMANDS[sys.argv[1]]()
