"""Guards of the project's shape: directions of imports, pinned requirements, generated settings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from backoffice import dev

ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "shops", "notifications")
PURE = (
    "addresses", "catalogue", "consistency", "currencies", "default_texts", "facts", "linter", "net_ranges", "payloads",
    "resolver", "retry", "signing", "targets", "templating",
)  # fmt: skip
# Parts of an app with layers of their own.
PARTS = ("shops/billing", "shops/dataforms", "shops/orders")


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, anywhere in it, as a full dotted name."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def modules(name: str) -> list[Path]:
    """`name.py` or the files of the package `name`, in every app and part of an app."""
    places = [ROOT / app for app in (*APPS, *PARTS)]
    found = [path for place in places for path in (place / f"{name}.py", *sorted((place / name).glob("**/*.py")))]
    return [path for path in found if path.exists()]


def reaches(imported: str, *forbidden: str) -> bool:
    return any(imported == name or imported.startswith(f"{name}.") for name in forbidden)


def test_the_import_reader_sees_relative_imports() -> None:
    found = set(imports(ROOT / "notifications" / "models.py"))
    assert {"notifications.catalogue", "companies.models.Company", "django.db.models"} <= found


@pytest.mark.parametrize("name", PURE)
def test_the_pure_core_knows_no_database_no_settings_and_no_clock(name: str) -> None:
    forbidden = (
        "django.db", "django.conf", "django.utils.timezone", "time", "companies", "shops", "backoffice",
        "notifications.models", "notifications.selectors", "notifications.services",
    )  # fmt: skip
    path = ROOT / "notifications" / f"{name}.py"
    assert [found for found in imports(path) if reaches(found, *forbidden)] == []
    assert not re.search(r"\.(now|today|utcnow)\(", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("app", ["companies", "shops", *PARTS])
def test_models_of_companies_and_shops_know_nothing_of_notifications(app: str) -> None:
    assert [found for found in imports(ROOT / app / "models.py") if reaches(found, "notifications")] == []


def test_shared_fields_take_only_the_address_rules_from_notifications() -> None:
    found = {name for name in imports(ROOT / "backoffice" / "fields.py") if reaches(name, "notifications")}
    assert found == {"notifications.addresses"}


EDGES = ("views", "forms", "admin", "api", "management", "urls")


@pytest.mark.parametrize(
    ("layer", "forbidden"),
    [("models", ("selectors", "services", *EDGES)), ("selectors", ("services", *EDGES)), ("services", EDGES)],
)
def test_a_layer_imports_nothing_above_it(layer: str, forbidden: tuple[str, ...]) -> None:
    names = [f"{app}.{name}" for app in (*APPS, *(part.replace("/", ".") for part in PARTS)) for name in forbidden]
    upward = {
        f"{path.relative_to(ROOT)} → {found}"
        for path in modules(layer)
        for found in imports(path)
        if reaches(found, *names)
    }
    assert modules(layer)
    assert upward == set()


def test_nothing_of_the_product_imports_tests_or_development_tools() -> None:
    tools = ("tests", "bench", "pytest", "factory", "polib", "backoffice.dev", "aiosmtpd", "playwright", "post_office")
    found = {
        f"{path.relative_to(ROOT)} → {name}"
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if path.name != "dev.py"
        for name in imports(path)
        if reaches(name, *tools)
    }
    assert found == set()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_once(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith(("#", "-r "))]
    pattern = r"[A-Za-z0-9._-]+(\[[a-z]+\])?==[0-9][A-Za-z0-9.]*(; .+)?"
    assert [line for line in lines if not re.fullmatch(pattern, line)] == []
    names = [re.split(r"[\[=]", line)[0].lower().replace("_", "-") for line in lines]
    assert len(names) == len(set(names))


# --- What `make run` writes ---------------------------------------------------------------------


@pytest.fixture
def empty_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    for name in ("PORT", "BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_first_run_writes_fresh_keys_that_only_the_owner_reads(empty_root: Path) -> None:
    dev._write_env_file(9000)
    first = dev._env_file()
    assert first["BASE_URL"] == "http://localhost:9000"
    assert first["MFA_REQUIRED"] == "false"
    assert "$" not in "".join(first.values())
    assert (empty_root / ".env").stat().st_mode & 0o077 == 0
    (empty_root / ".env").unlink()
    dev._write_env_file(9000)
    assert dev._env_file()["SECRET_KEY"] != first["SECRET_KEY"]


def test_an_existing_env_file_is_kept(empty_root: Path) -> None:
    (empty_root / ".env").write_text("SECRET_KEY=mine\n")
    dev._write_env_file(8000)
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
    assert dev._base_url(9001) == expected


@pytest.mark.parametrize("port", ["80a", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused_in_a_sentence(
    empty_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(SystemExit):
        dev._port()
    assert f"PORT={port} is not a port number" in capsys.readouterr().err
