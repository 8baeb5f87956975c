"""The record of the settings: triggers that keep every version of what the delivery tables depend on.

The database writes it, as it guards the history, because nothing else sees every way by which a setting changes:
services, the admin, `provision`, statements over many rows, an operator's own SQL. A change costs one row for each
row that changed, in its transaction. Columns that the tables do not depend on cost nothing.

The triggers name no other table of the settings, so that SQLite lets migrations rebuild those. A migration that
rebuilds the table of the record itself has to take the triggers away first (`RECORD.remove`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from companies.models import Company, Contact, SftpAccount, User
from notifications.models import AddressHealth, NotificationRule, RecordedSetting
from shops.models import Shop

Kind = RecordedSetting.Kind

# The moment of a change on SQLite. By itself it counts milliseconds, which is what processes of the version before and the
# `sqlite3` tool write, since every connection has to be able to. Our own connections put a function of three arguments in its
# place (`give_clock`) that counts microseconds, as everything else does that the record is compared with; nothing else calls
# `strftime` with three.
SQLITE_CLOCK = "strftime('%Y-%m-%d %H:%M:%f', 'now', '+0 days')"
_CLOCK_ARGUMENTS = ("%Y-%m-%d %H:%M:%f", "now", "+0 days")


@dataclass(frozen=True)
class Recorded:
    """A kind of object of which every version is kept.

    Attributes:
        parent: the column that says what it belongs to.
        columns: what the delivery tables depend on.
        left_out: fields that they do not depend on; every field stands in one of the two.
    """

    kind: Kind
    model: type[models.Model]
    parent: str
    columns: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    def fields(self) -> "Iterator[models.Field[Any, Any]]":
        for name in self.columns:
            field = self.model._meta.get_field(name)
            assert isinstance(field, models.Field)
            yield field


RECORDED = (
    Recorded(
        Kind.COMPANY,
        Company,
        "id",
        ("reference", "name", "language", "incident_emails", "status", "newsletter_opt_out",
         "verify_addresses"),
        ("id", "registration_number", "address", "country", "time_zone", "status_reason", "status_since", "version",
         "created_at", "updated_at"),
    ),
    Recorded(
        Kind.CONTACT, Contact, "company_id", ("kind", "email"),
        ("id", "company", "title", "first_name", "last_name", "phone"),
    ),
    Recorded(
        Kind.SHOP,
        Shop,
        "company_id",
        ("site_id", "name", "language", "manager_email", "status"),
        ("id", "company", "url", "status_reason", "status_since", "algorithm_test", "algorithm_production",
         "algorithm_test_since", "algorithm_production_since", "tests_done_at", "tests_done_reason", "version",
         "created_at", "updated_at"),
    ),
    Recorded(
        Kind.RULE,
        NotificationRule,
        "shop_id",
        ("reference", "type", "label", "enabled", "triggers", "conditions", "recipients", "version", "digest", "emptied_by",
         "emptied_at", *NotificationRule.URL_FIELDS, "archived_at"),
        ("id", "shop", "auto_retry", "profile", "http_confirmed", "email_texts", "email_fields", "created_at",
         "updated_at"),
    ),
    Recorded(
        Kind.USER,
        User,
        "company_id",
        ("login", "email", "verified_email", "language", "is_active"),
        ("id", "company", "password", "last_login", "is_superuser", "title", "first_name", "last_name", "phone",
         "time_zone", "is_staff", "date_joined", "failed_logins", "locked_until", "login_links_used"),
    ),
    Recorded(
        Kind.SFTP_ACCOUNT,
        SftpAccount,
        "company_id",
        ("login", "email", "language", "is_active"),
        ("id", "company", "password_hash", "unrevealed_password", "password_set_at", "created_at"),
    ),
    Recorded(
        Kind.ADDRESS,
        AddressHealth,
        "company_id",
        ("normalised_address", "state", "since", "cause", "code", "words"),
        ("id", "company", "verified_at", "asked_at"),
    ),
)  # fmt: skip

_RECORD = RecordedSetting._meta.db_table
_COLUMNS = "kind, object_key, parent, since, content"
BY_KIND: Mapping[str, Recorded] = {one.kind: one for one in RECORDED}


class SettingsRecord:
    """The triggers of the record, and what brings it up to date with the settings."""

    def install(self, connection: BaseDatabaseWrapper) -> None:
        """Put the triggers in place, anew where their list of columns is another one."""
        if self.is_installed(connection):
            return
        build = _sqlite_triggers if connection.vendor == "sqlite" else _postgresql_triggers
        with transaction.atomic(using=connection.alias):
            if connection.vendor == "postgresql":
                # All of them at once: requests take these tables in another order.
                tables = ", ".join(sorted(one.table for one in RECORDED))
                _run(connection, [f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"])
            self.remove(connection)
            _run(connection, [statement for one in RECORDED for statement in build(one).values()])

    def is_installed(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether all triggers are in place and do what this version of the product wants."""
        build = _sqlite_triggers if connection.vendor == "sqlite" else _postgresql_triggers
        with connection.cursor() as cursor:
            cursor.execute(_INSTALLED[connection.vendor])
            there = {name: source.strip() for name, source in cursor.fetchall()}
        return all(
            there.get(name) == _source(statement, connection.vendor)
            for one in RECORDED
            for name, statement in build(one).items()
        )

    def remove(self, connection: BaseDatabaseWrapper) -> None:
        """Take the triggers away."""
        on = "" if connection.vendor == "sqlite" else " ON {table}"
        verbs = _VERBS if connection.vendor == "sqlite" else ("",)
        with transaction.atomic(using=connection.alias):
            _run(
                connection,
                [
                    f"DROP TRIGGER IF EXISTS {_name(one, verb)}{on.format(table=one.table)}"
                    for one in RECORDED
                    for verb in verbs
                ],
            )

    @contextmanager
    def lifted(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Context without the triggers, for emptying the whole database only."""
        self.remove(connection)
        try:
            yield
        finally:
            self.install(connection)

    def step_aside(self, connection: BaseDatabaseWrapper) -> None:
        """Before migrations are walked back, which may drop a column that the triggers name."""
        self.remove(connection)

    def look_after(self, connection: BaseDatabaseWrapper) -> None:
        """Install the triggers again after migrations, and record what migrations changed.

        Not where they were walked back to before one of its columns: it waits for the version that knows them.
        """
        if _has_columns(connection):
            self.install(connection)
            self.catch_up(connection)

    def is_whole(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether the record holds the present settings of every object."""
        with connection.cursor() as cursor:
            for one in RECORDED:
                cursor.execute(_difference(one, connection.vendor))
                if cursor.fetchone()[0]:
                    return False
        return True

    def catch_up(self, connection: BaseDatabaseWrapper) -> None:
        """Record the present settings where the record differs: all of them when it begins."""
        moment = datetime.now(UTC)
        shown = str(moment.replace(tzinfo=None) if connection.vendor == "sqlite" else moment)
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for one in RECORDED:
                for statement in _catch_up_statements(one, connection.vendor):
                    cursor.execute(statement, [shown])


def _has_columns(connection: BaseDatabaseWrapper) -> bool:
    """Whether all that the record reads and writes is there."""
    tables = set(connection.introspection.table_names())
    if not {_RECORD, *(one.table for one in RECORDED)} <= tables:
        return False
    with connection.cursor() as cursor:
        return all(
            {field.column for field in one.fields()}
            <= {column.name for column in connection.introspection.get_table_description(cursor, one.table)}
            for one in RECORDED
        )


RECORD = SettingsRecord()


def give_clock(connection: BaseDatabaseWrapper) -> None:
    """Let the triggers on SQLite have the time to the microsecond; called with every new connection."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("strftime", 3, _now_in_text)


def _now_in_text(*asked: str) -> str:
    """Now as the framework stores it there. Nothing else asks with three arguments, and would get a wrong answer."""
    if asked != _CLOCK_ARGUMENTS:
        raise ValueError(f"strftime{asked}")
    return str(datetime.now(UTC).replace(tzinfo=None))


def _run(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


# --- SQL ------------------------------------------------------------------------------------------
# Names come from the list above, never from outside.

_VERBS = ("insert", "update", "delete")

# What is in place: name → source.
_INSTALLED = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": (
        "SELECT tgname, prosrc FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
        "WHERE NOT tgisinternal AND tgenabled <> 'D'"
    ),
}


def _name(one: Recorded, verb: str = "") -> str:
    return f"{one.table}_recorded" + (f"_{verb}" if verb else "")


def _source(statement: str, vendor: str) -> str:
    """The part of a statement that the database gives back."""
    return statement if vendor == "sqlite" else statement.split("$$")[1].strip()


def _values(one: Recorded, row: str, vendor: str) -> str:
    """The recorded columns of a row as one JSON object."""
    cells = []
    for field in one.fields():
        column = f"{row}.{field.column}"
        as_json = vendor == "sqlite" and isinstance(field, models.JSONField)
        cells += [f"'{field.name}'", f"json({column})" if as_json else column]
    return f"{'json_object' if vendor == 'sqlite' else 'jsonb_build_object'}({', '.join(cells)})"


def _key(row: str, vendor: str) -> str:
    # UUIDs are text without hyphens on SQLite.
    return f"CAST({row}.id AS text)" if vendor == "sqlite" else f"replace(CAST({row}.id AS text), '-', '')"


def _sqlite_triggers(one: Recorded) -> dict[str, str]:
    # The end of the former version is the start of the new one, to the microsecond: no moment falls between them.
    insert = (
        f"INSERT INTO {_RECORD} ({_COLUMNS}) VALUES ('{one.kind}', {_key('NEW', 'sqlite')}, NEW.{one.parent}, "  # noqa: S608
        f"{SQLITE_CLOCK}, {_values(one, 'NEW', 'sqlite')});"
    )
    of_object = f"kind = '{one.kind}' AND object_key = {_key('OLD', 'sqlite')} AND until IS NULL"
    end_former = (
        f"UPDATE {_RECORD} SET until = (SELECT since FROM {_RECORD} WHERE id = last_insert_rowid()) "  # noqa: S608
        f"WHERE {of_object} AND id <> last_insert_rowid();"
    )
    end = f"UPDATE {_RECORD} SET until = {SQLITE_CLOCK} WHERE {of_object};"  # noqa: S608
    names = [field.column for field in one.fields()]
    differs = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in [*names, one.parent])
    bodies = {
        "insert": f"AFTER INSERT ON {one.table} BEGIN {insert} END",
        "update": f"AFTER UPDATE ON {one.table} WHEN {differs} BEGIN {insert} {end_former} END",
        "delete": f"AFTER DELETE ON {one.table} BEGIN {end} END",
    }
    return {_name(one, verb): f"CREATE TRIGGER {_name(one, verb)} {body}" for verb, body in bodies.items()}


def _postgresql_triggers(one: Recorded) -> dict[str, str]:
    new, old = (_values(one, row, "postgresql") for row in ("NEW", "OLD"))
    name = _name(one)
    body = f"""
        DECLARE
            moment timestamptz := clock_timestamp();
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                IF OLD.{one.parent} IS NOT DISTINCT FROM NEW.{one.parent} AND {old} = {new} THEN
                    RETURN NULL;
                END IF;
            END IF;
            IF TG_OP <> 'INSERT' THEN
                UPDATE {_RECORD} SET until = moment
                WHERE kind = '{one.kind}' AND object_key = {_key("OLD", "postgresql")} AND until IS NULL;
            END IF;
            IF TG_OP <> 'DELETE' THEN
                INSERT INTO {_RECORD} ({_COLUMNS})
                VALUES ('{one.kind}', {_key("NEW", "postgresql")}, NEW.{one.parent}, moment, {new});
            END IF;
            RETURN NULL;
        END
    """  # noqa: S608
    return {
        name: f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$; "
        f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {one.table} FOR EACH ROW EXECUTE FUNCTION {name}()"
    }


def _difference(one: Recorded, vendor: str) -> str:
    """How many versions in force do not hold, and how many objects have none."""
    ended, begun = _apart(one, vendor)
    return f"SELECT (SELECT count(*) FROM {_RECORD} AS held WHERE {ended}) + (SELECT count(*) FROM {begun})"  # noqa: S608


def _catch_up_statements(one: Recorded, vendor: str) -> tuple[str, str]:
    """What ends the versions that no longer hold, and what begins those that are missing."""
    ended, begun = _apart(one, vendor)
    current = _values(one, "object", vendor)
    return (
        f"UPDATE {_RECORD} AS held SET until = %s WHERE {ended}",  # noqa: S608
        f"INSERT INTO {_RECORD} ({_COLUMNS}) SELECT '{one.kind}', {_key('object', vendor)}, object.{one.parent}, "  # noqa: S608
        f"%s, {current} FROM {begun}",
    )


def _apart(one: Recorded, vendor: str) -> tuple[str, str]:
    """The current versions that do not match the settings, as a condition on `held`; the objects without one, as a
    source.
    """
    same = "IS" if vendor == "sqlite" else "IS NOT DISTINCT FROM"
    stored = "json(held.content)" if vendor == "sqlite" else "held.content"
    current = _values(one, "object", vendor)
    holds = (
        f"held.kind = '{one.kind}' AND held.until IS NULL AND held.object_key = {_key('object', vendor)} "
        f"AND held.parent {same} object.{one.parent} AND {stored} {same} {current}"
    )
    ended = f"held.kind = '{one.kind}' AND held.until IS NULL AND NOT EXISTS (SELECT 1 FROM {one.table} AS object WHERE {holds})"  # noqa: S608
    begun = f"{one.table} AS object WHERE NOT EXISTS (SELECT 1 FROM {_RECORD} AS held WHERE {holds})"  # noqa: S608
    return ended, begun
