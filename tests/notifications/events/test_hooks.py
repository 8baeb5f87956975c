"""What listens to events and to the clock is what stands in the table of the settings, nothing else."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.module_loading import import_string

from backoffice.site import listening
from notifications.events import hooks

ROOT = Path(django_settings.BASE_DIR)
APPS = ("backoffice", "companies", "notifications", "shops")
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

heard: list[Any] = []


def first(what: Any) -> None:
    heard.append(("first", what))


def second(what: Any) -> None:
    heard.append(("second", what))


def broken(what: Any) -> None:
    raise RuntimeError("defect")


def names(functions: list[Any]) -> list[str]:
    return [f"{function.__module__}.{function.__qualname__}" for function in functions]


@pytest.fixture(autouse=True)
def _silence() -> None:
    heard.clear()


def test_the_table_of_the_settings_is_what_runs() -> None:
    assert names(hooks.listeners()) == django_settings.EVENT_LISTENERS
    assert names(hooks.clock_work()) == django_settings.CLOCK_WORK
    assert names(hooks.clock_routines()) == django_settings.CLOCK_ROUTINES


def test_every_function_made_for_the_clock_stands_in_the_table() -> None:
    """A function whose name ends in `tick`, and that takes the time alone, would otherwise never run."""
    made = {
        ".".join((*path.relative_to(ROOT).with_suffix("").parts, node.name))
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and re.search(r"(^|_)tick$", node.name)
    }
    made.discard("notifications.events.hooks.tick")
    table = {*django_settings.CLOCK_WORK, *django_settings.CLOCK_ROUTINES}
    assert made - table == set()
    assert len(table) == len(django_settings.CLOCK_WORK) + len(django_settings.CLOCK_ROUTINES)


def test_an_app_attaches_nothing_when_it_is_ready_but_what_stands_in_the_table() -> None:
    """Side effects of an import would be a second, hidden table."""
    attached = {}
    for app in APPS:
        tree = ast.parse(Path(str(apps.get_app_config(app).path), "apps.py").read_text(encoding="utf-8"))
        ready = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "ready"]
        attached[app] = [ast.unparse(statement) for node in ready for statement in node.body]
    assert attached == {
        "backoffice": [
            "from backoffice.site import checks, listening",
            "listening.attach()",
            "super().ready()",
            "from companies.staff import values",
            "values.install()",
        ],
        "companies": [],
        "notifications": [],
        "shops": [],
    }


def test_one_module_alone_listens_to_signals() -> None:
    """`.connect(` and `@receiver` anywhere else would be flow that no table shows."""
    attaching = set()
    for path in (path for app in APPS for path in (ROOT / app).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        # What is awaited connects to another machine.
        awaited = [
            node.value.func for node in nodes if isinstance(node, ast.Await) and isinstance(node.value, ast.Call)
        ]
        if any(
            (isinstance(node, ast.Attribute) and node.attr == "connect" and node not in awaited)
            or (isinstance(node, ast.alias) and node.name == "receiver")
            for node in nodes
        ):
            attaching.add(path.relative_to(ROOT).as_posix())
    # Celery tells of its own life by signals of its own: how to log, when a worker starts and ends.
    of_celery = {"backoffice/celery.py", "notifications/worker/tasks.py"}
    assert attaching - of_celery == {"backoffice/site/listening.py"}


@pytest.mark.parametrize("label", django_settings.DATABASE_GUARDS)
def test_each_guard_of_the_table_is_put_back_after_the_migrations_of_its_app(
    label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = import_string(django_settings.DATABASE_GUARDS[label])
    monkeypatch.setattr(type(guard), "look_after", lambda self, connection: heard.append((self, connection.alias)))
    app = apps.get_app_config(label)
    assert post_migrate.disconnect(sender=app, dispatch_uid=listening.identity(label)), "it was attached"
    listening.attach()
    listening.put_guard_back(app, using="default")
    assert heard == [(guard, "default")]


@pytest.mark.parametrize("label", django_settings.DATABASE_GUARDS)
def test_each_guard_steps_aside_before_migrations_are_walked_back(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = import_string(django_settings.DATABASE_GUARDS[label])
    monkeypatch.setattr(type(guard), "step_aside", lambda self, connection: heard.append((self, connection.alias)))
    app = apps.get_app_config(label)
    assert pre_migrate.disconnect(sender=app, dispatch_uid=listening.identity(label)), "it was attached"
    listening.attach()
    listening.let_guard_aside(app, using="default", plan=[(object(), False)])
    assert heard == []
    listening.let_guard_aside(app, using="default", plan=[(object(), False), (object(), True)])
    assert heard == [(guard, "default")]


def test_listeners_hear_an_event_in_the_order_of_the_table(settings: Any) -> None:
    settings.EVENT_LISTENERS = [f"{__name__}.second", f"{__name__}.first"]
    event: Any = object()
    hooks.event_recorded(event)
    assert heard == [("second", event), ("first", event)]


def test_what_a_listener_raises_refuses_the_event(settings: Any) -> None:
    settings.EVENT_LISTENERS = [f"{__name__}.broken", f"{__name__}.first"]
    event: Any = object()
    with pytest.raises(RuntimeError):
        hooks.event_recorded(event)
    assert heard == []


@pytest.mark.parametrize(("routines", "expected"), [(False, ["first"]), (True, ["first", "second"])])
def test_routines_run_only_where_they_are_asked_for(settings: Any, routines: bool, expected: list[str]) -> None:
    settings.CLOCK_WORK = [f"{__name__}.broken", f"{__name__}.first"]
    settings.CLOCK_ROUTINES = [f"{__name__}.second"]
    hooks.tick(NOW, routines=routines)
    assert heard == [(name, NOW) for name in expected]
