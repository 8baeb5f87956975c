"""Log-ins: who may try, what is counted, and when an account locks.

Every guess at a password or code is counted before it is looked at (`guessing`), here in the database and
so over all processes and addresses. What an attacker can do with any number of addresses:

- LOCK_AFTER wrong passwords or codes in a row lock the account, for LOCK_FOR at first and twice as long each
  time, LOCK_LONGEST at most. A locked account answers like a wrong password, whatever was typed.
- The rightful user gets in all the same: from a browser that has logged in before, whose guesses
  are counted apart (it stops being known after LOCK_AFTER of them); with a passkey; by the link mailed with
  the lock or asked for at « Mot de passe oublié »; through an administrator.
- An identifier that nobody has costs the same work and reads the same.
- Guesses spread over many accounts are seen by their number (`_look_for_spraying`).
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from prometheus_client import Counter

from backoffice.text import addresses
from companies import audit
from companies.audit import Actor, Changes
from companies.models import KnownDevice, LoginRecord, User
from companies.sessions import SessionStore
from notifications.events.publishing import publish

LOCK_AFTER = 10
LOCK_FOR = timedelta(minutes=15)
LOCK_LONGEST = timedelta(hours=24)
LOGINS_KEPT = 100
UNKNOWN_KEPT = 10_000
UNKNOWN_FOR = timedelta(days=30)
TIDY_EVERY = timedelta(hours=1)
DEVICES_KEPT = 20
SPRAYED_ACCOUNTS = 30
SPRAYED_WITHIN = timedelta(minutes=10)
DEVICE_COOKIE = settings.DEVICE_COOKIE_NAME
DEVICE_COOKIE_AGE = 365 * 24 * 3600
_DEVICE = "companies.device"  # attribute of a request

log = structlog.get_logger(__name__)
FAILED = Counter("bom_login_failures_total", "Wrong passwords and identifiers at the log-in.")
SPRAYED = Counter("bom_login_spraying_total", "Ten-minute spells of guesses over many accounts.")
_last_tick: datetime | None = None


def normalised(typed: str) -> str:
    """An identifier or address as it counts: one account, one counter, however it is spelled."""
    return addresses.normalise(typed) if "@" in typed else typed.strip().casefold()


# --- Known devices --------------------------------------------------------------------------------


def _hashed(text: str, purpose: str) -> str:
    return salted_hmac(f"companies.logins.{purpose}", text, algorithm="sha256").hexdigest()


def device_of(request: HttpRequest | None) -> str:
    """The key of the browser of a request, empty for a new one."""
    value = request.COOKIES.get(DEVICE_COOKIE, "") if request is not None else ""
    return _hashed(value, "device") if value else ""


def is_known(device: str, user: User | None) -> bool:
    """Whether the account has a log-in from this browser; takes as long for an unknown account."""
    return bool(device) and KnownDevice.objects.filter(user=user.pk if user else 0, key=device).exists()


def know_device(*, user: User, request: HttpRequest) -> bool:
    """Remember that the browser of a request is the user's; whether that is news.

    A response of the same request takes the cookie, see `remember_device`.
    """
    if not device_of(request):
        setattr(request, _DEVICE, secrets.token_urlsafe(32))
    key = _hashed(getattr(request, _DEVICE, "") or request.COOKIES[DEVICE_COOKIE], "device")
    _device, new = KnownDevice.objects.update_or_create(
        user=user, key=key, defaults={"failed_logins": 0, "seen_at": timezone.now()}
    )
    if new:
        kept = KnownDevice.objects.filter(user=user).order_by("-seen_at").values_list("pk", flat=True)[:DEVICES_KEPT]
        KnownDevice.objects.filter(user=user).exclude(pk__in=list(kept)).delete()
    return new


def remember_device(request: HttpRequest, response: HttpResponse) -> None:
    """Give the browser of a log-in its cookie; renewed each time."""
    response.set_cookie(
        DEVICE_COOKIE,
        getattr(request, _DEVICE, None) or request.COOKIES.get(DEVICE_COOKIE, ""),
        max_age=DEVICE_COOKIE_AGE,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


# --- One try --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Try:
    """A guess that was counted.

    Attributes:
        admitted: whether the right password would be taken.
        locks: it is the one that locks the account, should it be wrong.
    """

    user: User | None
    record: LoginRecord
    device: KnownDevice | None = None
    admitted: bool = False
    locks: bool = False


@transaction.atomic
def login_begun(*, user: User | None, typed: str, request: HttpRequest | None) -> Try:
    """Count a guess before its password is looked at, so that guesses made at the same moment gain nothing.

    Args:
        user: whom `typed` means; None for nobody, with the same work.
    """
    record = LoginRecord.objects.create(
        user=user,
        typed="" if user else _hashed(normalised(typed), "typed"),
        ip_address=_ip(request),
        user_agent=_agent(request),
        succeeded=False,
    )
    _forget_old_records(user)
    key = device_of(request)
    device = KnownDevice.objects.select_for_update().filter(user=user, key=key).first() if key else None
    if user is not None and device is not None and device.failed_logins < LOCK_AFTER:
        device.failed_logins += 1
        device.save(update_fields=["failed_logins"])
        return Try(user, record, device, admitted=True)
    # One statement for an account and for none.
    locked = User.objects.select_for_update(of=("self",)).filter(pk=user.pk if user else 0).first()
    if locked is None or locked.is_locked:
        return Try(user, record)
    locked.failed_logins += 1
    locks = locked.failed_logins % LOCK_AFTER == 0
    if locks:
        times = locked.failed_logins // LOCK_AFTER
        locked.locked_until = timezone.now() + min(LOCK_FOR * 2 ** min(times - 1, 10), LOCK_LONGEST)
    locked.save(update_fields=["failed_logins", "locked_until"])
    return Try(locked, record, admitted=True, locks=locks)


@transaction.atomic
def password_was_right(attempt: Try) -> None:
    """Take back what `login_begun` counted. What was wrong before it still counts.

    Only the completed log-in forgives that: a stolen password gives no more guesses at the code.
    """
    assert attempt.user is not None
    attempt.record.delete()
    if attempt.device is not None:
        KnownDevice.objects.filter(pk=attempt.device.pk).update(failed_logins=F("failed_logins") - 1)
        return
    undone: dict[str, Any] = {"failed_logins": F("failed_logins") - 1}
    if attempt.locks:
        undone["locked_until"] = None
    User.objects.filter(pk=attempt.user.pk, failed_logins__gt=0).update(**undone)


@transaction.atomic
def password_was_wrong(attempt: Try) -> None:
    """Mail about the lock if this attempt caused it, and detect attempts spread over many accounts."""
    user = attempt.user
    if attempt.locks and user is not None:
        changes: Changes = {"locked_until": [None, audit.plain(user.locked_until)]}
        actor = Actor(_("Connexion"), ip_address=attempt.record.ip_address)
        audit.record(actor=actor, action="user.locked", obj=user, company=user.company, changes=changes)
        # One mail an attack, not one a lock: the first has the link that opens the account.
        if user.company is not None and user.is_active and user.failed_logins == LOCK_AFTER:
            publish(type="account.locked", company=user.company, account=user)
    _look_for_spraying()


def login_failed(*, user: User, ip_address: str | None = None) -> None:
    """Count one wrong password, as from an unknown browser."""
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = ip_address or ""
    password_was_wrong(login_begun(user=user, typed=user.login, request=request))


@transaction.atomic
def login_succeeded(*, user: User, ip_address: str | None = None, request: HttpRequest | None = None) -> None:
    """Record a log-in, forget the wrong passwords before it, and remember its browser.

    The owner is mailed when it is the first log-in from a browser, unless it is the first one ever.
    """
    User.objects.filter(pk=user.pk).exclude(failed_logins=0, locked_until=None).update(
        failed_logins=0, locked_until=None
    )
    LoginRecord.objects.create(
        user=user, ip_address=ip_address or _ip(request), user_agent=_agent(request), succeeded=True
    )
    _forget_old_records(user)
    if request is None:
        return
    others = KnownDevice.objects.filter(user=user).exists()
    new = know_device(user=user, request=request)
    if new and others and user.company is not None:
        publish(
            type="account.new_device",
            company=user.company,
            account=user,
            data={"user_agent": _agent(request), "ip_address": _ip(request) or ""},
        )


def _look_for_spraying() -> None:
    """Warn once a spell when wrong guesses spread over many accounts, which no counter of one account sees."""
    FAILED.inc()
    since = timezone.now() - SPRAYED_WITHIN
    failures = LoginRecord.objects.filter(succeeded=False, at__gt=since)
    accounts = failures.exclude(user=None).values("user").distinct().count()
    accounts += failures.exclude(typed="").values("typed").distinct().count()
    if accounts >= SPRAYED_ACCOUNTS and cache.add(
        "companies.logins.sprayed", True, timeout=SPRAYED_WITHIN.total_seconds()
    ):
        SPRAYED.inc()
        log.warning("login_spraying", accounts=accounts, addresses=failures.values("ip_address").distinct().count())


def tick(now: datetime) -> None:
    """Once an hour, from the worker's clock: delete expired rows (docs/operations.md)."""
    global _last_tick
    if _last_tick is not None and timedelta(0) <= now - _last_tick < TIDY_EVERY:
        return
    _last_tick = now
    SessionStore.clear_expired()
    LoginRecord.objects.filter(user=None, at__lt=now - UNKNOWN_FOR).delete()
    KnownDevice.objects.filter(seen_at__lt=now - timedelta(seconds=DEVICE_COOKIE_AGE)).delete()


def _forget_old_records(user: User | None) -> None:
    kept = LOGINS_KEPT if user else UNKNOWN_KEPT
    last = LoginRecord.objects.filter(user=user).values("pk")[kept : kept + 1].first()
    if last:
        LoginRecord.objects.filter(user=user, pk__lte=last["pk"]).delete()


def _ip(request: HttpRequest | None) -> str | None:
    return (request.META.get("REMOTE_ADDR") or None) if request is not None else None


def _agent(request: HttpRequest | None) -> str:
    return request.headers.get("User-Agent", "")[:300] if request is not None else ""
