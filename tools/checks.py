"""`make check`: the hooks of `.pre-commit-config.yaml`, and two of them that are small enough to live here.

all         every hook, by pre-commit; by ourselves where there is no git repository, such as in an archive
deploy      Django's checks of the settings of a production that we make up
leftovers   marks of unfinished work
"""

import base64
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from tools.environment import PYTHON, ROOT, fail, run, say
from tools.suite import Steps

FOLDERS = ("backoffice", "companies", "shops", "notifications", "templates", "static", "tests", "docs", "tools")
LEFTOVERS = re.compile(r"^(<{7}|>{7}) |\b(TODO|FIXME)\b|\bbreakpoint\(\)|lorem ipsum", re.MULTILINE | re.IGNORECASE)


def command_all() -> NoReturn:
    if not _in_git():
        _each_hook()
    # All of them, whatever is staged; the output of each is shown, with its time.
    # Its cache stays here: not every machine that checks has a home to write to.
    home = os.environ.get("PRE_COMMIT_HOME", str(ROOT / "var" / "pre-commit"))
    command = ["-m", "pre_commit", "run", "--all-files", "--verbose", "--color=never"]
    raise SystemExit(run(PYTHON, *command, PRE_COMMIT_HOME=home))


def _in_git() -> bool:
    """Whether git knows this folder as a repository; it refuses one that belongs to somebody else."""
    if shutil.which("git") is None:
        return False
    asked = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=ROOT, capture_output=True, text=True)
    return asked.returncode == 0 and Path(asked.stdout.strip()).resolve() == ROOT


def _each_hook() -> NoReturn:
    import yaml

    say("No git repository here: the hooks run one after the other, without pre-commit.")
    steps = Steps()
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    for hook in (hook for repository in config["repos"] for hook in repository["hooks"]):
        command = shlex.split(hook["entry"])
        steps.step(hook["name"], lambda command=command: run(*command))  # type: ignore[misc]
    steps.finish()


def command_deploy() -> NoReturn:
    with tempfile.TemporaryDirectory() as folder:
        code = run(
            PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING",
            DEBUG="false",
            SECRET_KEY=secrets.token_urlsafe(50),
            FIELD_ENCRYPTION_KEYS="k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            BASE_URL="https://backoffice.example",
            DATABASE_URL=f"sqlite:///{folder}/check.sqlite3",
            MFA_REQUIRED="true",
        )  # fmt: skip
    raise SystemExit(code)


def command_leftovers() -> NoReturn:
    leftovers = list(_leftovers())
    for line in leftovers:
        say(line)
    raise SystemExit(bool(leftovers))


def _leftovers() -> Iterator[str]:
    for path in _source_files():
        text = path.read_text(encoding="utf-8")
        for match in LEFTOVERS.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(ROOT)}:{line}: {match.group().strip()}"


def _source_files() -> Iterator[Path]:
    for name in FOLDERS:
        for path in sorted((ROOT / name).rglob("*")):
            if path.suffix in {".py", ".html", ".txt", ".css", ".js", ".md"} and path != Path(__file__).resolve():
                yield path


COMMANDS: dict[str, Callable[[], NoReturn]] = {
    "all": command_all,
    "deploy": command_deploy,
    "leftovers": command_leftovers,
}


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        fail(f"usage: python -m tools.checks {'|'.join(COMMANDS)}")
    COMMANDS[sys.argv[1]]()
