"""The parts of the platform that sending depends on, and what is wrong with each: database, cache, broker, workers.

`readyz` answers with the names, `manage.py status` and the staff page with the sentences, and staff are mailed
(`alerts`). Nothing here waits for long, whatever is broken.
"""

import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.base import crypto
from notifications.core.retry import OWN_RELAY
from notifications.outbox.state import State

PARTS = (
    "database", "migrations", "cache", "broker", "field_key", "disk", "worker", "tick", "breaker", "settings", "dead", "lag",
)  # fmt: skip
# Open deliveries that nobody takes for this long: too few workers, or none that works.
LAG_SECONDS = 900
# Free space below this share, or this many bytes, is told.
FREE_SHARE, FREE_BYTES = 0.05, 200 * 1024 * 1024
_BROKER_SECONDS = 1.5
_BROKER_PORTS = {"amqp": 5672, "amqps": 5671, "pyamqp": 5672, "redis": 6379, "rediss": 6379}


@dataclass(frozen=True)
class Trouble:
    """One problem that needs staff.

    Attributes:
        part: one of `PARTS`; these names never change.
        text: what it is, in the active language.
    """

    part: str
    text: str


# --- What everything stands on --------------------------------------------------------------------


def database() -> Trouble | None:
    """The database answers, takes writes, and has the schema of this version."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
        read_only = _is_read_only()
    except DatabaseError as error:
        return Trouble("database", _("La base de données ne répond pas : %(error)s.") % {"error": type(error).__name__})
    if not all(leaf in applied for leaf in MigrationLoader(None).graph.leaf_nodes()):
        return Trouble("migrations", _("La base de données n'a pas le schéma de cette version : lancez « migrate »."))
    if read_only:
        return Trouble("database", _("La base de données est en lecture seule."))
    return None


def _is_read_only() -> bool:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only")
            return bool(cursor.fetchone()[0] == "on")
    path = Path(str(connection.settings_dict["NAME"]))
    return path.exists() and not os.access(path, os.W_OK)


def shared_cache() -> Trouble | None:
    """Check that one process can read what another put into the cache; the substitute in the database does not count."""
    shared = getattr(cache, "primary", cache)
    key = f"probe:{secrets.token_hex(16)}"
    try:
        # A broken statement must not spoil the transaction of who asks.
        with transaction.atomic():
            shared.set(key, key, timeout=10)
            works = shared.get(key) == key
            shared.delete(key)
    except Exception as error:  # each kind of cache fails with errors of its own
        told = _(
            "Le cache partagé ne répond pas : %(error)s. Les limites sont comptées dans la base de données en attendant."
        )
        return Trouble("cache", told % {"error": type(error).__name__})
    return None if works else Trouble("cache", _("Le cache partagé ne garde rien."))


def broker() -> Trouble | None:
    """Check that the broker accepts connections; without a configured broker there is nothing to check."""
    if not settings.CELERY_BROKER_URL:
        return None
    url = urlsplit(settings.CELERY_BROKER_URL)
    port = url.port or _BROKER_PORTS.get(url.scheme, 5672)
    try:
        socket.create_connection((url.hostname or "127.0.0.1", port), timeout=_BROKER_SECONDS).close()
    except OSError as error:
        return Trouble(
            "broker",
            _("Le courtier de messages ne répond pas : %(error)s. L'envoi attend qu'il revienne, rien n'est perdu.")
            % {"error": type(error).__name__},
        )
    return None


def field_key() -> Trouble | None:
    """The newest secret of each kind can be read with the keys of this process."""
    for model in apps.get_models():
        for one in model._meta.local_fields:
            if not isinstance(one, crypto.EncryptedTextField):
                continue
            row = model._base_manager.exclude(**{one.name: ""}).order_by("-pk").first()
            try:
                if row is not None:
                    getattr(row, one.attname)
            except crypto.DecryptionError:
                told = _("Les secrets enregistrés ne se lisent pas avec FIELD_ENCRYPTION_KEYS (%(what)s).")
                return Trouble("field_key", told % {"what": model._meta.label})
    return None


def disk() -> Trouble | None:
    """There is room where we write: the folder of the product, and the database if it lies on this machine."""
    places = {Path(settings.VAR_DIR)}
    if connection.vendor == "sqlite":
        # Where the file really is, should the setting name a link.
        places.add(Path(str(connection.settings_dict["NAME"])).resolve().parent)
    for place in sorted(places):
        try:
            usage = shutil.disk_usage(place)
        except OSError:
            continue
        if usage.free < FREE_BYTES or usage.free < usage.total * FREE_SHARE:
            free = usage.free // (1024 * 1024)
            return Trouble("disk", _("Le disque est presque plein : %(free)d Mo libres.") % {"free": free})
    return None


# --- Sending --------------------------------------------------------------------------------------


def of_sending(state: State) -> Iterator[Trouble]:
    """What is wrong with sending, from its figures."""
    if not state.working:
        yield Trouble("worker", _("Aucun processus d'envoi ne donne signe de vie depuis 30 secondes."))
    if not state.is_ticking:
        yield Trouble("tick", _("L'horloge de la plateforme n'avance plus depuis 30 secondes."))
    for breaker in state.open_breakers:
        told = _("Le serveur d'envoi %(relay)s nous refuse, l'envoi attend : %(reply)s")
        yield Trouble("breaker", told % {"relay": breaker.relay, "reply": breaker.reply})
    # What waits for the server of a company is for the company to mend.
    ours = {name: count for name, count in state.waiting_for_settings.items() if name != OWN_RELAY}
    if ours:
        names = ", ".join(sorted(ours))
        count = sum(ours.values())
        text = ngettext(
            "%(n)d e-mail attend qu'un réglage soit corrigé : %(names)s.",
            "%(n)d e-mails attendent qu'un réglage soit corrigé : %(names)s.",
            count,
        )
        yield Trouble("settings", text % {"n": count, "names": names})
    died = sum(state.dead.values())
    if died > settings.STATUS_DEAD_THRESHOLD:
        text = _("%(n)d envois abandonnés en 24 heures ; le seuil est %(limit)d.")
        yield Trouble("dead", text % {"n": died, "limit": settings.STATUS_DEAD_THRESHOLD})
    late = [queue for queue in state.queue if queue.state == "ready" and queue.oldest_seconds > LAG_SECONDS]
    if late and not state.paused:
        oldest = max(queue.oldest_seconds for queue in late) // 60
        yield Trouble("lag", _("Le plus ancien envoi prêt attend depuis %(n)d minutes.") % {"n": oldest})


_FOUNDATIONS: tuple[Callable[[], Trouble | None], ...] = (shared_cache, broker, field_key, disk)


def foundations() -> list[Trouble]:
    """What is wrong beside the database and sending."""
    return [problem for look in _FOUNDATIONS if (problem := look()) is not None]
