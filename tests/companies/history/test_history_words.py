"""What the history says of a changed value."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from companies.audit import Actor, record
from companies.history import entries as history
from companies.history.sentences import ACTIONS
from tests.factories import StaffFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_a_moment_is_told_in_the_readers_own_time_zone() -> None:
    user = UserFactory()
    entry = record(
        actor=Actor.command("test"),
        action="user.locked",
        obj=user,
        company=user.company,
        changes={"locked_until": [None, "2026-11-24T23:49:44.012046+00:00"]},
    )
    with timezone.override("Europe/Paris"):
        [(field, before, after)] = history.changes_in_words(entry)
    assert (field, before, after) == ("Verrouillé jusqu'à", "(vide)", "25 novembre 2026, 00:49:44 (CET)")


# --- Every action has words -----------------------------------------------------------------------


def _texts(node: ast.expr, names: dict[str, list[ast.expr]]) -> Iterator[str]:
    """What an expression may be, with « * » for what is known at run time only."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, names)
        yield from _texts(node.orelse, names)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    elif isinstance(node, ast.Name):
        for value in names.get(node.id, []):
            yield from _texts(value, {**names, node.id: []})


def recorded_actions() -> set[str]:
    """The actions that the source hands to the history."""
    found: set[str] = set()
    root = Path(settings.BASE_DIR)
    for path in [
        path for app in ("backoffice", "companies", "shops", "notifications") for path in root.glob(f"{app}/**/*.py")
    ]:
        tree = ast.parse(path.read_text())
        names: dict[str, list[ast.expr]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names.setdefault(node.targets[0].id, []).append(node.value)
            if isinstance(node, ast.Call):
                for keyword in node.keywords:
                    if keyword.arg in ("action", "verb"):
                        names.setdefault(keyword.arg, []).append(keyword.value)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "record":
                for keyword in node.keywords:
                    if keyword.arg == "action":
                        found |= {text for text in _texts(keyword.value, names) if "." in text}
    return found


def test_every_action_that_the_source_records_has_words() -> None:
    actions = recorded_actions()
    assert len(actions) > 50 and "payment_order_template.created" in actions
    unknown = {text for text in actions if "*" not in text and text not in ACTIONS}
    for text in actions - unknown:
        pattern = re.compile(re.escape(text).replace(r"\*", "[a-z_]+"))
        if not any(pattern.fullmatch(code) for code in ACTIONS):
            unknown.add(text)
    assert unknown == set(), "give these a sentence in companies/history/sentences.py"


def test_the_team_reads_actions_in_words(client_for: Callable[..., Client]) -> None:
    user = UserFactory()
    record(actor=Actor.command("test"), action="payment_order_template.created", obj=user, company=user.company)
    said = client_for(StaffFactory()).get("/admin/companies/auditentry/").content.decode()
    assert "Modèle d&#x27;ordre de paiement créé" in said and ">payment_order_template.created<" not in said
