"""Guards of the project's shape: pinned requirements, generated settings."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import environment

ROOT = Path(settings.BASE_DIR)


def requirements(name: str) -> list[str]:
    """The lines of a list, each with its hashes behind it."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-r ", "-c "))]


def pin(line: str) -> tuple[str, str]:
    found = Requirement(line.partition(" --hash")[0])
    return canonicalize_name(found.name), str(found.specifier)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-tracing.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_once(name: str) -> None:
    listed = requirements(name)
    pattern = r"[A-Za-z0-9._-]+(\[[a-z]+\])?==[0-9][A-Za-z0-9.]*( ; .+?)?(?: --hash=sha256:[0-9a-f]{64})+"
    assert [line for line in listed if not re.fullmatch(pattern, line)] == []
    names = [pin(line)[0] for line in listed]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["requirements", "requirements-tracing", "requirements-dev"])
def test_the_compiled_list_holds_what_its_source_names(name: str) -> None:
    """Whoever edits the source runs `make requirements`; pip checks the rest when it installs."""
    compiled = dict(pin(line) for line in requirements(f"{name}.txt"))
    direct = [pin(line) for line in requirements(f"{name}.in")]
    assert direct and {package: compiled.get(package) for package, _version in direct} == dict(direct)
    everything = dict(pin(line) for line in requirements("requirements-dev.txt"))
    assert dict(pin(line) for line in requirements(f"{name}.txt")).items() <= everything.items()


# --- What `make run` writes ---------------------------------------------------------------------


@pytest.fixture
def empty_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    for name in ("PORT", "BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_first_run_writes_fresh_keys_that_only_the_owner_reads(empty_root: Path) -> None:
    environment.write_env_file(9000)
    first = environment.env_file()
    assert first["BASE_URL"] == "http://localhost:9000"
    assert first["MFA_REQUIRED"] == "false"
    assert "$" not in "".join(first.values())
    assert (empty_root / ".env").stat().st_mode & 0o077 == 0
    (empty_root / ".env").unlink()
    environment.write_env_file(9000)
    assert environment.env_file()["SECRET_KEY"] != first["SECRET_KEY"]


def test_an_existing_env_file_is_kept(empty_root: Path) -> None:
    (empty_root / ".env").write_text("SECRET_KEY=mine\n")
    environment.write_env_file(8000)
    assert (empty_root / ".env").read_text() == "SECRET_KEY=mine\n"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", "http://localhost:9001"),
        ("BASE_URL=http://localhost:8000", "http://localhost:9001"),
        ("BASE_URL=http://127.0.0.1:8000/", "http://localhost:9001"),
        ("BASE_URL=https://backoffice.example", "https://backoffice.example"),
    ],
)
def test_base_url_follows_the_port_unless_it_names_another_host(empty_root: Path, written: str, expected: str) -> None:
    (empty_root / ".env").write_text(written)
    assert environment.base_url(9001) == expected


@pytest.mark.parametrize("port", ["80a", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused_in_a_sentence(
    empty_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(SystemExit):
        environment.port()
    assert f"PORT={port} is not a port number" in capsys.readouterr().err
