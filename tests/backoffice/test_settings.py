"""The environment: what is required, what is refused, what is documented."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import global_settings, settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.utils.module_loading import import_string

from backoffice.site.checks import own_settings

ROOT = Path(settings.BASE_DIR)
GOOD = {
    "SECRET_KEY": "x" * 60,
    "FIELD_ENCRYPTION_KEYS": "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "DEBUG": "false",
}


def evaluate(expression: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """The value of an expression over the settings, in a process that has only this environment."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    # An empty value is "not set" to the settings, and hides what a developer's .env says.
    known = dict.fromkeys(("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "EMAIL_URL", "REDIS_URL"), "")
    return subprocess.run(
        [sys.executable, "-c", f"from backoffice import settings; print(repr(({expression})))"],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(ROOT), **known, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("missing", ["SECRET_KEY", "FIELD_ENCRYPTION_KEYS"])
def test_without_its_secrets_the_product_does_not_start_and_says_why(missing: str) -> None:
    done = evaluate("1", **{**GOOD, missing: ""})
    assert done.returncode == 1
    assert f"{missing} is not set" in done.stderr
    assert ".env.example" in done.stderr


def test_debug_needs_no_secrets() -> None:
    assert evaluate("bool(settings.SECRET_KEY)", DEBUG="true").stdout.strip() == "True"


@pytest.mark.parametrize(
    "keys", ["k1:short", "nokeyid", "k1:MDEyMw==", ":MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]
)
def test_a_malformed_field_key_is_refused_without_printing_it(keys: str) -> None:
    done = evaluate("1", **{**GOOD, "FIELD_ENCRYPTION_KEYS": keys})
    assert done.returncode == 1
    assert "FIELD_ENCRYPTION_KEYS takes" in done.stderr
    assert "MDEy" not in done.stderr.splitlines()[-1]


def test_a_relative_database_path_counts_from_the_repository_root(tmp_path: Path) -> None:
    done = evaluate(
        "settings.DATABASES['default']['NAME']", cwd=tmp_path, **GOOD, DATABASE_URL="sqlite:///var/x.sqlite3"
    )
    assert done.stdout.strip() == repr(str(ROOT / "var" / "x.sqlite3"))


def test_an_absolute_database_path_stays_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "x.sqlite3"
    done = evaluate("settings.DATABASES['default']['NAME']", **GOOD, DATABASE_URL=f"sqlite:///{target}")
    assert done.stdout.strip() == repr(str(target))


@pytest.mark.parametrize(("base_url", "secure"), [("http://localhost:8000", "False"), ("https://b.example", "True")])
def test_the_scheme_of_base_url_alone_decides_secure_cookies(base_url: str, secure: str) -> None:
    found = "settings.SESSION_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS > 0"
    done = evaluate(found, **GOOD, BASE_URL=base_url)
    assert done.stdout.strip() == f"{(secure == 'True',) * 3}"


@pytest.mark.parametrize(
    ("base_url", "names"),
    [
        ("http://localhost:8000", ("session", "csrf", "device", "language")),
        ("https://b.example", ("__Host-session", "__Host-csrf", "__Host-device", "__Host-language")),
    ],
)
def test_cookies_are_tied_to_the_host_under_https(base_url: str, names: tuple[str, ...]) -> None:
    """A browser takes a __Host- cookie only when it is Secure, for the whole site and for no other host."""
    found = "settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.DEVICE_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME"
    assert evaluate(found, **GOOD, BASE_URL=base_url).stdout.strip() == repr(names)
    found = "settings.SESSION_COOKIE_SAMESITE, settings.CSRF_COOKIE_SAMESITE"
    assert evaluate(found, **GOOD, BASE_URL=base_url).stdout.strip() == "('Lax', 'Lax')"


def test_no_other_cookie_is_written() -> None:
    """Notices wait in the session; each cookie the product sets itself has its name from the settings."""
    found = "settings.MESSAGE_STORAGE"
    assert evaluate(found, **GOOD).stdout.strip() == "'django.contrib.messages.storage.session.SessionStorage'"
    written = {
        f"{path.relative_to(ROOT)}:{ast.unparse(node.args[0])}"
        for app in ("backoffice", "companies", "notifications", "shops")
        for path in (ROOT / app).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "set_cookie"
    }
    assert written == {
        "backoffice/site/views.py:settings.LANGUAGE_COOKIE_NAME",
        "companies/accounts/logins.py:DEVICE_COOKIE",
    }


def test_unless_told_otherwise_it_runs_as_in_production() -> None:
    found = "settings.DEBUG, settings.MFA_REQUIRED, settings.IPN_ALLOW_PRIVATE_NETWORKS, settings.TRUSTED_PROXY_COUNT"
    told = {
        **GOOD,
        "DEBUG": "",
        "MFA_REQUIRED": "true",
        "IPN_ALLOW_PRIVATE_NETWORKS": "false",
        "TRUSTED_PROXY_COUNT": "0",
    }
    assert evaluate(found, **told).stdout.strip() == "(False, True, False, 0)"


def test_passwords_are_hashed_as_slowly_as_is_recommended_today() -> None:
    """At least 600,000 rounds of PBKDF2 with SHA-256, the recommendation of OWASP's Password Storage Cheat Sheet."""
    assert evaluate("hasattr(settings, 'PASSWORD_HASHERS')", **GOOD).stdout.strip() == "False"
    first = import_string(global_settings.PASSWORD_HASHERS[0])()
    assert (first.algorithm, first.iterations >= 600_000) == ("pbkdf2_sha256", True)


def test_logs_go_to_standard_error_and_nowhere_else() -> None:
    found = "settings.LOGGING['handlers'], settings.LOGGING['root']['handlers'], [one for one in settings.LOGGING['loggers'].values() if one.get('handlers')]"
    handlers = {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}}
    assert evaluate(found, **GOOD).stdout.strip() == repr((handlers, ["stderr"], []))


def test_nothing_of_development_is_installed_in_production() -> None:
    apps = ast.literal_eval(evaluate("settings.INSTALLED_APPS", **GOOD).stdout)
    assert not [app for app in apps if re.search(r"debug|test|silk|extensions|browsable", app)]
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower()
    assert not [name for name in ("pytest", "debug-toolbar", "ipython", "playwright", "mypy", "ruff") if name in pinned]


@pytest.mark.parametrize(
    "url", ["smtp://127.0.0.1:2525", "smtp+tls://u:p@mail.example:587", "smtp://h:25/?timeout=900"]
)
def test_a_silent_mail_server_is_given_up_after_minutes_whatever_the_url(url: str) -> None:
    done = evaluate("settings.EMAIL_TIMEOUT, settings.EMAIL_BACKEND", **GOOD, EMAIL_URL=url)
    assert done.stdout.strip() == "(300, 'django.core.mail.backends.smtp.EmailBackend')"


def test_transient_mail_failures_are_retried_for_72_hours() -> None:
    assert sum(settings.EMAIL_RETRY_DELAYS) >= 72 * 3600


def test_env_example_lists_exactly_what_the_settings_read() -> None:
    """Guards .env.example against drift."""
    tree = ast.parse((ROOT / "backoffice" / "settings.py").read_text(encoding="utf-8"))
    read = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = ast.unparse(node.func)
            if function == "_required" or re.fullmatch(r"env\.\w+", function):
                read.add(node.args[0].value)
    listed = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert listed - {"PORT"} == read


def test_the_env_example_can_be_used_as_it_is(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))
    assert values == {"SECRET_KEY": "", "FIELD_ENCRYPTION_KEYS": ""}


# --- What is said about ourselves -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEFAULT_FROM_EMAIL", "Lumière, SAS <team@lumiere.example>"),
        ("DEFAULT_FROM_EMAIL", "Lumière <team@lumiere.example>, <x@y.example>"),
        ("DEFAULT_FROM_EMAIL", "Lumière SAS"),
        ("DEFAULT_FROM_EMAIL", "team@"),
        ("DEFAULT_FROM_EMAIL", "team@-lumiere.example"),
        ("DEFAULT_FROM_EMAIL", "équipe@lumiere.example"),
        ("DEFAULT_FROM_EMAIL", "L" * 1000 + " <team@lumiere.example>"),
        ("DEFAULT_FROM_EMAIL", "Lumière\nBcc: x@y.example <team@lumiere.example>"),
        ("SUPPORT_EMAIL", "assistance"),
        ("SUPPORT_EMAIL", "a@x.example, b@x.example"),
        ("SUPPORT_URL", "javascript:alert(1)"),
        ("SUPPORT_URL", "aide.example"),
        ("PLATFORM_NAME", "Back\nOffice"),
        ("PLATFORM_NAME", "B" * 1000),
        ("BASE_URL", "backoffice.example"),
        ("BASE_URL", "https://back office.example"),
        ("BASE_URL", "https://back..office.example"),
        ("BASE_URL", "https://user:secret@backoffice.example"),
        ("BASE_URL", "https://backoffice.example:port"),
        ("SFTP_HOST", "sftp://files.example"),
        ("SFTP_PORT", "0"),
        ("SFTP_PORT", "ssh"),
        ("EMAIL_URL", "smtp://platform:smtp-secret@mail.example:port"),
        ("EMAIL_URL", "smpt://platform:smtp-secret@mail.example:25"),
        ("EMAIL_URL", "smtp://platform:smtp-secrèt@mail.example:25"),
        ("EMAIL_URL", "smtp://platform:smtp-secret@mail..example:25"),
    ],
)
def test_a_setting_that_mail_could_not_use_is_refused_by_name_at_start(name: str, value: str) -> None:
    done = evaluate("1", **{**GOOD, name: value})
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert f"SettingError: {name} " in last
    assert "secr" not in last


@pytest.mark.parametrize(
    ("name", "value", "used"),
    [
        ("DEFAULT_FROM_EMAIL", "Lumière <team@bücher.example>", "Lumière <team@xn--bcher-kva.example>"),
        ("DEFAULT_FROM_EMAIL", "team@straße.example", "team@xn--strae-oqa.example"),
        ("DEFAULT_FROM_EMAIL", '"Lumière, SAS" <team@lumiere.example>', '"Lumière, SAS" <team@lumiere.example>'),
        ("DEFAULT_FROM_EMAIL", " team@lumiere.example\n", "team@lumiere.example"),
        ("SUPPORT_EMAIL", "aide@bücher.example", "aide@xn--bcher-kva.example"),
        ("BASE_URL", "https://bücher.example/", "https://xn--bcher-kva.example"),
        ("SUPPORT_URL", "https://bücher.example/aide", "https://xn--bcher-kva.example/aide"),
        ("SFTP_PORT", "2222", 2222),
    ],
)
def test_what_can_be_made_right_is_made_right(name: str, value: str, used: object) -> None:
    assert evaluate(f"settings.{name}", **{**GOOD, name: value}).stdout.strip() == repr(used)


@pytest.mark.django_db
def test_check_names_a_bad_setting_however_it_came_to_be(settings: Any) -> None:
    assert own_settings(None) == []
    settings.DEFAULT_FROM_EMAIL, settings.PLATFORM_NAME = "Lumière, SAS <team@lumiere.example>", "x" * 1000
    assert {error.id for error in own_settings(None)} == {"backoffice.DEFAULT_FROM_EMAIL", "backoffice.PLATFORM_NAME"}
    with pytest.raises(SystemCheckError, match="DEFAULT_FROM_EMAIL"):
        call_command("check", "--deploy", "--fail-level", "ERROR")


def test_check_deploy_refuses_a_bad_sender_by_name() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy"],
        cwd=ROOT,
        env={
            **os.environ,
            **GOOD,
            "DJANGO_SETTINGS_MODULE": "backoffice.settings",
            "DEFAULT_FROM_EMAIL": "Lumière, SAS <team@lumiere.example>",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "DEFAULT_FROM_EMAIL" in done.stderr
