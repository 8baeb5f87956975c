"""The English catalogue.

check     nothing is missing, fuzzy, obsolete or stale, and no placeholder is lost; msgfmt reads it without a word
sources   extracting the strings again would neither add nor remove one
update    bring it up to date with the sources, and compile it (`make messages`)
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import polib

from tools.environment import IN_CI, PYTHON, ROOT, apt_install, fail, run, say

CATALOGUE = Path("locale/en/LC_MESSAGES/django.po")
FOLDERS = ("backoffice", "companies", "shops", "notifications", "templates", "locale")


def problems(catalogue: Path) -> list[str]:
    """What is wrong with a `.po` file and the `.mo` beside it, one sentence each.

    Missing, fuzzy and obsolete translations, placeholders lost in translation, and a `.mo` that
    says something else than the `.po`.
    """
    if not catalogue.exists():
        return [f"{catalogue.name} does not exist: run make messages"]
    po = polib.pofile(str(catalogue))
    sentences = [f"obsolete: {entry.msgid!r}" for entry in po.obsolete_entries()]
    sentences += [sentence for entry in po if not entry.obsolete and (sentence := _problem(entry))]
    compiled = catalogue.with_suffix(".mo")
    if not compiled.exists():
        return [*sentences, f"{compiled.name} does not exist: run make messages"]
    wanted = {_key(entry): _value(entry) for entry in po.translated_entries()}
    if wanted != {_key(entry): _value(entry) for entry in polib.mofile(str(compiled))}:
        sentences.append(f"{compiled.name} is older than {catalogue.name}: run make messages")
    return sentences


def _problem(entry: Any) -> str:
    translations = list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
    if not all(translations):
        return f"missing: {entry.msgid!r}"
    if "fuzzy" in entry.flags:
        return f"fuzzy: {entry.msgid!r}"
    if not entry.msgid_plural and _placeholders(entry.msgid) != _placeholders(entry.msgstr):
        return f"other placeholders: {entry.msgid!r} → {entry.msgstr!r}"
    return ""


def _key(entry: Any) -> tuple[str, str]:
    return entry.msgctxt or "", entry.msgid


def _value(entry: Any) -> Any:
    return {int(form): text for form, text in entry.msgstr_plural.items()} or entry.msgstr


def _placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[a-z]|%[sd]|\{\w*\}", text))


# --- Commands -----------------------------------------------------------------------------------


def command_check() -> int:
    sentences = problems(ROOT / CATALOGUE)
    for sentence in sentences:
        say(sentence)
    if not _has_gettext():
        return max(_skipped(), int(bool(sentences)))
    return run("msgfmt", "--check-format", "--check-domain", "--output-file", os.devnull, str(CATALOGUE)) or int(
        bool(sentences)
    )


def command_sources() -> int:
    """Extract the strings again, in a copy, and compare them with the committed catalogue."""
    if not _has_gettext():
        return _skipped()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in FOLDERS:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "manage.py", copy)
        return _makemessages(copy) or _same_strings(ROOT / CATALOGUE, copy / CATALOGUE)


def _same_strings(committed: Path, extracted: Path) -> int:
    before, after = ({_key(entry) for entry in polib.pofile(str(path))} for path in (committed, extracted))
    for _context, text in sorted(after - before):
        say(f"not in the catalogue (run make messages): {text!r}")
    for _context, text in sorted(before - after):
        say(f"no longer in the sources (run make messages): {text!r}")
    return int(before != after)


def command_update() -> int:
    if not _has_gettext():
        fail("xgettext is needed; on Debian: apt-get install gettext")
    (ROOT / "locale").mkdir(exist_ok=True)
    if _makemessages(ROOT):
        fail("makemessages failed; the reason is above.")
    code = run(
        PYTHON, "manage.py", "compilemessages", "--locale", "en", "--ignore", ".venv", "--verbosity", "0", DEBUG="true"
    )
    return code or command_check()


def _makemessages(folder: Path) -> int:
    return subprocess.run(
        [
            PYTHON, "manage.py", "makemessages", "--locale", "en", "--no-obsolete", "--no-wrap", "--add-location", "file",
            "--extension", "html,txt,py", "--ignore", ".venv", "--ignore", "var", "--ignore", "tests", "--ignore", "bench",
            "--ignore", "tools",
        ],
        cwd=folder,
        env={**os.environ, "DEBUG": "true", "DATABASE_URL": "sqlite:///var/messages.sqlite3"},
    ).returncode  # fmt: skip


def _has_gettext() -> bool:
    return bool(shutil.which("xgettext")) or apt_install("gettext")


def _skipped() -> int:
    say(f"{'FAILED' if IN_CI else 'SKIPPED'}: xgettext is not installed; on Debian: apt-get install gettext")
    return int(IN_CI)


COMMANDS: dict[str, Callable[[], int]] = {
    "check": command_check,
    "sources": command_sources,
    "update": command_update,
}


def main(arguments: list[str]) -> NoReturn:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        fail(f"usage: python -m tools.translations {'|'.join(COMMANDS)}")
    raise SystemExit(COMMANDS[arguments[0]]())


if __name__ == "__main__":
    main(sys.argv[1:])
