"""What `make check` runs, by pre-commit or without it, and the tests that `make test-fast` leaves out."""

import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from tests import slow
from tools import checks

ROOT = Path(settings.BASE_DIR)
# Not in one piece: this file is looked through as well.
MARK = "TO{}".format("DO")


def hooks() -> list[dict[str, Any]]:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    return list(config["repos"][0]["hooks"])


def test_each_hook_runs_whole_and_with_our_versions() -> None:
    for hook in hooks():
        words = shlex.split(hook["entry"].removeprefix("env DEBUG=true "))
        assert words[0].startswith(".venv/bin/"), hook
        assert (hook["language"], hook["pass_filenames"], hook["always_run"]) == ("system", False, True), hook
        if words[1:2] == ["-m"]:
            import_module(words[2])


def test_every_check_has_its_hook() -> None:
    assert [hook["id"] for hook in hooks()] == [
        "ruff", "ruff-format", "mypy", "import-linter", "djlint", "migrations", "deploy", "translations",
        "translations-sources", "leftovers",
    ]  # fmt: skip


def test_without_a_repository_the_same_hooks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(*command: Any) -> int:
        ran.append(shlex.join(str(part) for part in command))
        return int(ran[-1].endswith("mypy"))

    monkeypatch.setattr(checks, "run", run)
    monkeypatch.setattr(checks, "_in_git", lambda: False)
    with pytest.raises(SystemExit) as ended:
        checks.command_all()
    assert ran == [hook["entry"] for hook in hooks()]
    assert ended.value.code == 1


def test_with_a_repository_pre_commit_runs_them_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_in_git", lambda: True)
    monkeypatch.setattr(
        checks, "run", lambda *command, **_environment: 0 if {"pre_commit", "--all-files"} <= {*command} else 1
    )
    with pytest.raises(SystemExit) as ended:
        checks.command_all()
    assert ended.value.code == 0


def test_a_mark_of_unfinished_work_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    (tmp_path / "shops").mkdir()
    (tmp_path / "shops" / "views.py").write_text(f"a = 1\n# {MARK} later\n")
    assert list(checks._leftovers()) == [f"shops/views.py:2: {MARK}"]


def test_the_list_of_slow_tests_names_tests_that_exist() -> None:
    for name in slow.listed():
        path, _separator, function = name.partition("::")
        assert f"def {function.rpartition('::')[2]}(" in (ROOT / path).read_text(encoding="utf-8"), name
