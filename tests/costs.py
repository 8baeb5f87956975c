"""What a piece of work costs, counted: statements, commits, bytes for the database, files opened, templates compiled."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import psycopg
from django.db import connection
from django.template.base import Template
from django.test.utils import CaptureQueriesContext

_opened: list[str] = []
_is_counting = False


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _is_counting and event in ("open", "os.listdir", "os.scandir"):
        _opened.append(str(arguments[0]))


# An audit hook stays for the life of the process; this one does nothing while nobody counts.
sys.addaudithook(_note)


def steps(work: Callable[[], Any]) -> int:
    """How many lines of Python a piece of work runs through: the same on any machine, however busy."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@dataclass
class Costs:
    """Complete when the block is over.

    Attributes:
        sent: bytes that statements and their values have, on their way to the database.
    """

    statements: list[str] = field(default_factory=list)
    commits: int = 0
    files: list[str] = field(default_factory=list)
    templates: int = 0
    sent: int = 0

    def note(self, execute: Callable[..., Any], sql: str, parameters: Any, many: bool, context: Any) -> Any:
        """Wraps each statement."""
        rows = parameters if many else [parameters or ()]
        self.sent += len(sql.encode()) + sum(_size(row) for row in rows)
        return execute(sql, parameters, many, context)


def _size(row: Iterable[Any]) -> int:
    values = row.values() if isinstance(row, dict) else row
    return sum(len(value) if isinstance(value, bytes) else len(str(value).encode()) for value in values)


@contextmanager
def counted() -> Iterator[Costs]:
    """Count what the block costs, in this thread's database connection and in the whole process."""
    global _is_counting
    costs = Costs()
    compiled = 0
    compile_nodelist = Template.compile_nodelist

    def noted(template: Template) -> Any:
        nonlocal compiled
        compiled += 1
        return compile_nodelist(template)

    write_row = psycopg.Copy.write_row

    def copied(copy: Any, row: Any) -> None:
        costs.sent += _size(row)
        write_row(copy, row)

    _opened.clear()
    with (
        CaptureQueriesContext(connection) as queries,
        connection.execute_wrapper(costs.note),
        patch.object(Template, "compile_nodelist", noted),
        patch.object(psycopg.Copy, "write_row", copied),
    ):
        _is_counting = True
        try:
            yield costs
        finally:
            _is_counting = False
    said = [query["sql"] for query in queries.captured_queries]
    costs.commits = sum(sql == "COMMIT" for sql in said)
    costs.statements = [sql for sql in said if not sql.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]
    # The database and its journals are no files of ours.
    costs.files = [name for name in _opened if "sqlite" not in name]
    costs.templates = compiled
