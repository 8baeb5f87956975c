"""What the program's own text shows: which dangerous things occur, and where. A new place fails here and is looked at."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from django.conf import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "notifications", "shops")


def sources() -> Iterator[tuple[str, ast.Module]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


@cache
def product() -> dict[str, ast.Module]:
    """Read when the first test asks: every worker imports this file, one runs its tests."""
    return {name: tree for name, tree in sources() if "/migrations/" not in name}


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def importing(*wanted: str) -> set[str]:
    """The files that import one of the modules, or something of it."""
    return {
        path
        for path, tree in product().items()
        if any(name == one or name.startswith(f"{one}.") for name in imported(tree) for one in wanted)
    }


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call with the last part of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2], node


def calling(*names: str) -> set[str]:
    return {path for path, tree in product().items() for name, _call in calls(tree) if name in names}


# --- Interpreters ---------------------------------------------------------------------------------


def test_no_text_is_run() -> None:
    """No evaluated text, no shell, no object made of bytes, no XML read, no template made of what somebody typed."""
    bare = {
        path
        for path, tree in product().items()
        for _name, call in calls(tree)
        if isinstance(call.func, ast.Name) and call.func.id in ("eval", "exec", "compile", "__import__")
    }
    assert bare == set()
    # Starts the product's own worker again, by a list of words without anybody's text.
    assert importing("subprocess", "pty", "commands") == {"notifications/worker/supervisor.py"}
    assert calling("system", "popen", "spawnv", "execv") == set()
    assert importing("pickle", "marshal", "shelve", "dill", "yaml", "jsonpickle") == set()
    assert importing("xml.etree", "xml.sax", "xml.dom", "lxml", "xmltodict") == set()
    assert importing("ldap", "ldap3", "jinja2", "mako") == set()
    assert calling("Template", "from_string") == set(), "templates are files of the product"


def test_sql_is_written_by_the_framework_but_for_triggers_locks_and_the_hot_path() -> None:
    assert calling("raw", "extra", "RawSQL") == set()
    found = {
        path
        for path, tree in product().items()
        for _name, call in calls(tree)
        if ast.unparse(call.func) == "cursor.execute"
    }
    # The queues step along partial indexes, whose conditions stand in their statements as written; what is written for
    # every mail and call is not put together anew each time. Neither holds anybody's text but as a parameter.
    hot = {
        "notifications/outbox/claims.py": {"sql", "_BUSY", "'SELECT pg_advisory_xact_lock(%s)'"},
        "notifications/outbox/attempts.py": {"_INSERT + ', '.join([_ROW] * len(group))"},
        "notifications/outbox/state.py": {
            "f'SELECT {kept}, COUNT(*), MIN(created_at) FROM notifications_delivery WHERE {condition} GROUP BY 1 ORDER BY 1'",
        },
        "notifications/outbox/leases.py": {"'SELECT clock_timestamp()'"},
        # Tables of the migration, by their names.
        "backoffice/management/commands/migrate.py": {
            "\"SELECT set_config('lock_timeout', %s, false)\"",
            "f\"LOCK TABLE {', '.join(map(editor.quote_name, tables))} IN ACCESS EXCLUSIVE MODE\"",
        },
        "notifications/outbox/relays.py": {"_READY"},
        "notifications/outbox/carrying.py": {"_KEPT"},
        "notifications/outbox/parts.py": {"'SHOW transaction_read_only'"},
        "notifications/outbox/held.py": {"sql.replace('<keys>', ', '.join(['%s'] * len(keys)))"},
        # Around a query of the framework, whose words it takes; the values are one parameter.
        "backoffice/base/per_value.py": {"f'SELECT wanted.value, ({sql}) FROM {source}'"},
        # Names of columns; the values are parameters.
        "backoffice/base/inserting.py": {"sql"},
        "backoffice/base/rows.py": {"self._sql.replace('<keys>', ', '.join(['%s'] * len(wanted)))"},
    }
    triggers = {"backoffice/base/triggers.py", "notifications/timeline/recording.py"}
    assert found == {"companies/history/seals.py", *triggers, *hot}
    for path, statements in hot.items():
        executed = {ast.unparse(call.args[0]) for name, call in calls(product()[path]) if name == "execute"}
        assert executed == statements, path
    locks = {ast.unparse(call) for name, call in calls(product()["companies/history/seals.py"]) if name == "execute"}
    assert all("pg_advisory_xact_lock(%s)" in call for call in locks)


MARKED_CELL = "f'''<{tag} class=\"{names}\" data-label=\"{label}\">{drawn['inner']}</{tag}>'''"


def test_no_markup_is_declared_safe_but_what_has_no_text_of_anybody() -> None:
    declared = {
        (path, ast.unparse(call.args[0]))
        for path, tree in product().items()
        for name, call in calls(tree)
        if name in ("mark_safe", "SafeString")
    }
    # The second file joins what `format_html` made; `test_markup` tries to get through it.
    assert {(path, text) for path, text in declared if "badge-test" not in text and text != "''"} == {
        ("notifications/mail/markup.py", "'\\n'.join(parts)"),
        # Parts of the framework's own safe text, and a label that is escaped.
        ("companies/staff/tags.py", MARKED_CELL),
    }
    templates = {path: path.read_text(encoding="utf-8") for path in ROOT.glob("**/templates/**/*.html")}
    templates |= {path: path.read_text(encoding="utf-8") for path in (ROOT / "templates").rglob("*.html")}
    ours = {path: text for path, text in templates.items() if not {".venv", "var"} & set(path.relative_to(ROOT).parts)}
    assert len(ours) > 100
    assert [
        str(path) for path, text in ours.items() if re.search(r"\|\s*safe\b|autoescape\s+off|\|\s*safeseq", text)
    ] == []


def test_no_page_holds_a_script_of_its_own() -> None:
    """Values reach scripts as attributes or as JSON that the framework escapes, never as text of a script."""
    for path in (ROOT / "templates").rglob("*.html"):
        for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", path.read_text(encoding="utf-8"), re.S):
            assert "src=" in attributes and not body.strip(), path


# --- Scripts --------------------------------------------------------------------------------------


def test_scripts_build_no_markup_run_no_text_and_keep_nothing() -> None:
    scripts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "static").glob("*.js")}
    assert len(scripts) >= 4
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser",
        r"\beval\(|new Function|setTimeout\(\s*[\"'`]|setInterval\(\s*[\"'`]",
        r"localStorage|sessionStorage|indexedDB|document\.cookie|caches\.",
        r"postMessage|onmessage|addEventListener\(\s*[\"']message|WebSocket|EventSource",
        r"__proto__|\.prototype\b|constructor\[|Object\.assign|\w\[[A-Za-z_.]+\]\s*=[^=]",
        r"\blocation\s*=|location\.(href|assign|replace)|window\.open",
    )
    found = {(name, rule) for name, text in scripts.items() for rule in forbidden if re.search(rule, text)}
    assert found == set()
    assert all('"use strict"' in text for text in scripts.values())


def test_htmx_neither_runs_text_nor_keeps_pages() -> None:
    for path in (*(ROOT / "templates").rglob("*.html"),):
        text = path.read_text(encoding="utf-8")
        if "htmx-config" in text:
            assert '"allowEval": false' in text, path
        assert not re.search(r"hx-on|hx-vals=[\"']js:|hx-ext|hx-push-url=\"true\"", text), path


# --- Chance, keys, digests -------------------------------------------------------------------------


def test_nothing_secret_is_made_of_guessable_chance() -> None:
    """Only the demonstration and the spreading of retries use the guessable generator."""
    assert importing("random") == {"backoffice/demo/companies.py", "notifications/outbox/call_results.py"}
    short = {
        (path, ast.unparse(call))
        for path, tree in product().items()
        for name, call in calls(tree)
        if name in ("token_hex", "token_urlsafe", "token_bytes")
        and (not call.args or ast.literal_eval(call.args[0]) < 16)
    }
    # The number of a simulated payment, which nobody has to guess.
    assert short == {("shops/orders/services/buyers.py", "secrets.token_hex(3)")}
    chosen = {
        path for path, tree in product().items() for name, _call in calls(tree) if name in ("choice", "randbelow")
    }
    assert chosen - importing("random") == {"shops/orders/services/orders.py", "shops/services.py"}


def test_each_digest_is_sha_256_but_for_the_one_that_receivers_still_ask_for() -> None:
    assert importing("Crypto", "nacl", "OpenSSL") == set()
    named = {
        (path, node.attr)
        for path, tree in product().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.fullmatch(r"md5|sha\d+|blake2.|scrypt|pbkdf2_hmac", node.attr)
    }
    assert {pair for pair in named if pair[1] != "sha256"} == {("notifications/calls/signing.py", "sha1")}
    unnamed = {
        f"{path}:{call.lineno}"
        for path, tree in product().items()
        for name, call in calls(tree)
        if name == "salted_hmac"
        and not any(word.arg == "algorithm" and ast.literal_eval(word.value) == "sha256" for word in call.keywords)
    }
    assert unnamed == set(), "the framework's default is SHA-1"
    assert importing("cryptography.hazmat") == {"backoffice/base/crypto.py"}


def test_signed_values_have_a_purpose_of_their_own() -> None:
    """Each is signed under a salt that no other kind of value has, so that none passes for another."""
    without = {
        f"{path}:{call.lineno}"
        for path, tree in product().items()
        for name, call in calls(tree)
        if name in ("Signer", "TimestampSigner")
        or (name in ("dumps", "loads") and ast.unparse(call.func).startswith("signing."))
        if not any(word.arg == "salt" for word in call.keywords)
    }
    assert without == set()
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in product()]
    lines = [line for text in texts for line in re.findall(r"^_?[A-Z_, ]*SALT = .*$", text, re.MULTILINE)]
    salts = [salt for line in lines for salt in re.findall(r'"([^"]+)"', line)]
    salts += [salt for text in texts for salt in re.findall(r'key_salt = "([^"]+)"', text)]
    assert len(salts) >= 6
    assert len(salts) == len(set(salts))


# --- Guessing --------------------------------------------------------------------------------------


def test_passwords_and_codes_are_compared_in_one_place() -> None:
    """`companies/accounts/guessing.py` counts each try before it is looked at; a second place would be an oracle without a limit."""
    comparing = {
        "check_password", "acheck_password", "verify_password", "authenticate", "aauthenticate", "reauthenticate",
        "validate_code", "validate_totp_code", "hotp_value", "compare_user_code", "complete_authentication",
        "mark_code_used", "_mark_code_used", "check_rate_limit",
    }  # fmt: skip
    found = {(path, name) for path, tree in product().items() for name, _call in calls(tree) if name in comparing}
    elsewhere = {pair for pair in found if pair[0] != "companies/accounts/guessing.py"}
    assert elsewhere == {
        # A name for what the library hides, called by the first one.
        ("companies/login_library.py", "_mark_code_used"),
        # The door of the framework, which leads to `has_password` under `guessing.counted`.
        ("companies/accounts/auth.py", "authenticate"),
        # A signature is checked, under `guessing.counted`.
        ("companies/accounts/passkeys.py", "complete_authentication"),
    }
    for path in ("companies/accounts/auth.py", "companies/accounts/passkeys.py"):
        text = (ROOT / path).read_text(encoding="utf-8")
        looking = (
            r"has_password\(user\)" if path.endswith("auth.py") else r"passkey_ceremony\.complete_authentication\("
        )
        assert text.index("with guessing.counted(") < re.search(looking, text).start()  # type: ignore[union-attr]
        assert len(re.findall(looking, text)) == 1
    hashers = {"companies/team/services/sftp.py", "companies/selectors.py"}
    assert importing("django.contrib.auth.hashers") == hashers, (
        "to make hashes and to find who has none, not to compare"
    )
    uncounted = {
        path for path, tree in product().items() for name, _call in calls(tree) if name == "is_stored_password"
    }
    assert uncounted == {"backoffice/provisioning/accounts.py"}, "for operators' files only"


def test_limits_by_address_ask_one_function_whom_an_address_stands_for() -> None:
    """Who has an IPv6 network has 2⁶⁴ addresses: `ratelimit.visitor` knows."""
    limiting = calling("allow", "Places") | {"backoffice/base/ratelimit.py"}
    assert limiting >= {"companies/accounts/guessing.py", "shops/dataforms/public.py", "shops/orders/public.py"}
    by_hand = {
        path
        for path in limiting - {"backoffice/base/ratelimit.py"}
        for name, call in calls(product()[path])
        if name in ("allow", "Places") and "REMOTE_ADDR" in ast.unparse(call)
    }
    assert by_hand == set()
    reading = {
        path for path in limiting if "REMOTE_ADDR" in (ROOT / path).read_text(encoding="utf-8")
    }  # fmt: skip
    # The second one writes it into the history.
    assert reading == {"backoffice/base/ratelimit.py", "companies/accounts/views.py"}
    assert calling("network_of") == {"backoffice/base/ratelimit.py"}


# --- The way out, and what came along --------------------------------------------------------------


def test_there_is_one_door_for_http_and_one_for_mail() -> None:
    assert importing(
        "aiohttp", "requests", "httpx", "urllib3", "urllib.request", "http.client", "ftplib", "paramiko"
    ) == {"notifications/calls/door.py"}
    assert importing("smtplib", "django.core.mail") <= {
        "backoffice/base/mail.py",
        "notifications/mail/emails.py",
        "notifications/outbox/relays.py",
        "notifications/outbox/transports/routes.py",
        "notifications/outbox/transports/email.py",
        "notifications/outbox/transports/smtp.py",
    }


def test_pages_never_mix_where_a_value_came_from() -> None:
    """A value of the form is not taken from the address instead, nor from a cookie or header."""
    mixed = {
        path
        for path in product()
        if re.search(r"request\.REQUEST|\.(POST|GET)\s*\|\s*request|GET\.get\([^)]*POST|POST\.get\([^)]*request\.GET",
                     (ROOT / path).read_text(encoding="utf-8"))
    }  # fmt: skip
    assert mixed == set()


def test_the_list_of_what_the_product_runs_on_is_complete() -> None:
    """Direct and transitive, each with its version: the inventory of third-party components."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    # A line begins with a name; its hashes and its reason are indented.
    listed = [Requirement(line.removesuffix("\\")) for line in lines if re.match(r"\w", line)]
    assert len(listed) > 50
    names = {canonicalize_name(requirement.name) for requirement in listed}
    needed: set[str] = set()
    for requirement in listed:
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        extras = ["", *requirement.extras]
        for text in distribution(requirement.name).requires or []:
            wanted = Requirement(text)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
                needed.add(canonicalize_name(wanted.name))
    assert needed - names == set()
    assert not [requirement for requirement in listed if requirement.url]
