"""Mail servers of companies: saved after a real dialogue, and which mail goes through which.

What a company's rules and shops send goes through its own server, if it has one. Account and security mail,
messages on incidents and letters are the platform's own and go through the platform's server, always.
"""

import smtplib
import time
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from backoffice.base.configuration import SettingError, address, ascii_host
from backoffice.text import addresses, characters
from backoffice.text.targets import LOCAL_ENDINGS
from companies import audit, status
from companies.audit import MASK, Actor
from companies.models import Company
from notifications.core import failures
from notifications.core.retry import OWN_RELAY, WAITS_MARK
from notifications.mail import emails
from notifications.models import Breaker, CompanyRelay, Delivery
from notifications.outbox import claims
from notifications.outbox.transports.routes import ForbiddenAddress, Route, of_relay

log = structlog.get_logger(__name__)

# How old a worker's view of these servers may get.
READ_SECONDS = 2.0
# Mail is handed over at these ports; any other would make the test a tool for finding open ones.
PORTS = (25, 465, 587, 2525)
# For each answer while somebody waits for the page.
TEST_SECONDS = 10
FIELDS = ("host", "port", "security", "username", "sender", "falls_back")


# --- By hand --------------------------------------------------------------------------------------


def of_company(company: Company) -> CompanyRelay | None:
    """The server of a company, if it has one."""
    return CompanyRelay.objects.filter(company=company).first()


def stamp(relay: CompanyRelay | None) -> str:
    """The state that a page was opened on."""
    return relay.changed_at.isoformat() if relay is not None else ""


def save(
    *, actor: Actor, company: Company, values: dict[str, Any], password: str | None, seen: str | None = None
) -> CompanyRelay:
    """Try a server, and keep it as the one of a company.

    Args:
        seen: the stamp that the page was opened on; None for a write that no page decided.
        values: host, port, security, username, sender, falls_back.
        password: None keeps the stored one, which holds for the same server and user only.

    Raises:
        ValidationError: something cannot be used, or the server does not take mail of us; it says what the server said.
        StaleVersion: somebody else saved another server since.
    """
    known = of_company(company)
    _ensure_current(known, seen)
    relay = prepared(actor=actor, company=company, known=known, values=values, password=password)
    # No transaction is open while the network is.
    try_out(relay, actor.user.email if actor.user else "")
    return keep(actor=actor, company=company, relay=relay, seen=seen)


def prepared(
    *, actor: Actor, company: Company, known: CompanyRelay | None, values: dict[str, Any], password: str | None
) -> CompanyRelay:
    """The server that somebody describes, in the form in which it is used; neither tried nor saved.

    Args:
        company: saved, or one that is to be.
        known: the server it has now.
        values, password: as for `save`.

    Raises:
        ValidationError: something cannot be used.
    """
    status.ensure_open(actor=actor, company=company)
    relay = CompanyRelay(company=company, **{name: values[name] for name in FIELDS})
    if known is not None:
        relay.pk = known.pk
    _check(relay)
    relay.password = _password_of(relay, known, password)
    if bool(relay.username) != bool(relay.password):
        raise ValidationError({"password": _("Indiquez l'identifiant et le mot de passe, ou aucun des deux.")})
    return relay


@transaction.atomic
def keep(*, actor: Actor, company: Company, relay: CompanyRelay, seen: str | None = None) -> CompanyRelay:
    """Save a server that was tried; nothing is written where it is the one there is.

    Raises:
        StaleVersion: somebody else saved another server since.
    """
    status.ensure_open(actor=actor, company=company)
    before = CompanyRelay.objects.select_for_update().filter(company=company).first()
    _ensure_current(before, seen)
    changes = changes_of(before, relay)
    if before is not None and not changes:
        return before
    relay.company = company
    if before is not None:
        relay.pk, relay._state.adding = before.pk, False
    relay.changed_at, relay.changed_by = timezone.now(), actor.label[:200]
    relay.save()
    audit.record(actor=actor, action="relay.saved", obj=relay, company=company, changes=changes)
    _begin_anew(relay)
    return relay


def _ensure_current(stored: CompanyRelay | None, seen: str | None) -> None:
    if seen is not None and seen != stamp(stored):
        raise audit.StaleVersion


def _password_of(relay: CompanyRelay, known: CompanyRelay | None, given: str | None) -> str:
    if given is not None or known is None or not relay.username:
        return given or ""
    same = (relay.host, relay.port, relay.username) == (known.host, known.port, known.username)
    if known.password and not same:
        raise ValidationError(
            {
                "password": _(
                    "Le mot de passe enregistré vaut pour l'ancien serveur et l'ancien identifiant : saisissez-le."
                )
            }
        )
    return str(known.password)


def _check(relay: CompanyRelay) -> None:
    """Put the fields into the form in which they are used. Raises ValidationError."""
    errors: dict[str, str] = {}
    free = settings.IPN_ALLOW_PRIVATE_NETWORKS
    try:
        relay.host = ascii_host(relay.host.strip().rstrip("."))
        if not free and ("." not in relay.host or relay.host.endswith(tuple(f".{end}" for end in LOCAL_ENDINGS))):
            raise ValueError(relay.host)
    except (ValueError, UnicodeError):
        errors["host"] = _("Indiquez le nom public d'un serveur, par exemple smtp.exemple.fr.")
    if relay.port not in PORTS and not free:
        errors["port"] = _("Les ports admis sont %(ports)s.") % {"ports": ", ".join(map(str, PORTS))}
    if relay.security == CompanyRelay.Security.NONE and relay.username and not free:
        errors["security"] = _("Un mot de passe ne part que par une connexion chiffrée.")
    if not relay.username.isprintable() or characters.first_hidden(relay.username):
        errors["username"] = _("L'identifiant tient sur une ligne, sans caractère invisible.")
    if relay.sender:
        try:
            relay.sender = address("sender", relay.sender)
        except SettingError:
            errors["sender"] = _("Indiquez une seule adresse, par exemple ne-pas-repondre@exemple.fr.")
    if errors:
        raise ValidationError(errors)
    relay.full_clean(exclude=["company", "password", "id"], validate_unique=False)


def changes_of(before: CompanyRelay | None, after: CompanyRelay) -> audit.Changes:
    """What the history says of a change of server; of the password no more than that there is one."""
    changes: audit.Changes = {
        name: [getattr(before, name) if before else None, getattr(after, name)]
        for name in FIELDS
        if before is None or getattr(before, name) != getattr(after, name)
    }
    if (before.password if before else "") != after.password:
        changes["password"] = [MASK if before and before.password else None, MASK if after.password else None]
    return changes


def remove(*, actor: Actor, company: Company, seen: str | None = None) -> bool:
    """Send a company's mail through the platform's server again; False where it already is.

    Raises:
        StaleVersion: another server was saved since the page was opened.
    """
    status.ensure_open(actor=actor, company=company)
    with transaction.atomic():
        relay = CompanyRelay.objects.select_for_update().filter(company=company).first()
        if relay is None:
            return False
        _ensure_current(relay, seen)
        audit.record(
            actor=actor, action="relay.removed", obj=relay, company=company, changes={"host": [relay.host, None]}
        )
        _begin_anew(relay)
        relay.delete()
    return True


def _begin_anew(relay: CompanyRelay) -> None:
    """Forget what former settings met, and let the mail go that waited for them."""
    Breaker.objects.filter(relay__endswith=_ending(relay.company_id)).delete()
    _waiting(relay.company_id).update(retry_at=None)


def _ending(company: int) -> str:
    """How the names of its breakers end (`CompanyRelay.breaker_name`)."""
    return f" ({company})"


def _waiting(company: int) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        retry_at__isnull=False,
        status=Delivery.Status.RETRY,
        digest_at=None,
        company=company,
        error__startswith=f"{WAITS_MARK}{OWN_RELAY}]",
    )


def waiting(company: Company) -> int:
    """How many mails of a company wait until its server can be used."""
    return _waiting(company.pk).count()


# --- The dialogue ---------------------------------------------------------------------------------


def try_out(relay: CompanyRelay, recipient: str = "") -> None:
    """Hold the dialogue of a mail with a server, up to the message, which is not sent.

    Args:
        recipient: who the mail would be for; empty leaves that question out.

    Raises:
        ValidationError: with what the server said, or what went wrong on the way to it.
    """
    backend = of_relay(relay).backend()
    backend.timeout = TEST_SECONDS
    try:
        backend.open()
        smtp = backend.connection
        smtp.ehlo_or_helo_if_needed()
        _ask(smtp, f"MAIL FROM:<{relay.sender or emails.envelope_sender()}>", "sender")
        if recipient:
            recipient = addresses.for_sending(recipient)
            _ask(smtp, f"RCPT TO:<{recipient}>", "host")
        smtp.docmd("RSET")
    except ForbiddenAddress as error:
        raise ValidationError({"host": _("Ce nom mène à un réseau privé : il n'est pas appelé.")}) from error
    except smtplib.SMTPAuthenticationError as error:
        raise ValidationError({"password": _refusal(error)}) from error
    except smtplib.SMTPSenderRefused as error:
        raise ValidationError({"sender": _refusal(error)}) from error
    except (OSError, smtplib.SMTPException, UnicodeError, ValueError) as error:
        raise ValidationError({"host": _refusal(error)}) from error
    finally:
        try:
            backend.close()
        except (OSError, smtplib.SMTPException):
            backend.connection = None


def _ask(smtp: smtplib.SMTP, command: str, about: str) -> None:
    code, text = smtp.docmd(command)
    if 200 <= code < 300:
        return
    if about == "sender":
        raise smtplib.SMTPSenderRefused(code, text, command)
    raise smtplib.SMTPResponseException(code, text.decode("utf-8", "replace"))


def _refusal(error: Exception) -> str:
    said: Any = f"{type(error).__name__}: {error}"
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        said = f"{error.smtp_code} {characters.decoded(said) if isinstance(said, bytes) else said}"
    text = characters.one_line(said)[:300]
    meaning = failures.sentence(text, Delivery.Status.RETRY)
    return _("Rien n'est enregistré : l'essai a échoué. %(meaning)s (%(said)s)") % {"meaning": meaning, "said": text}


# --- What refuses ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Closed:
    """A company whose own server refuses us."""

    relay: CompanyRelay
    breaker: Breaker


def closed_of(company: Company) -> QuerySet[Breaker]:
    """The open breaker of a company's own server."""
    return Breaker.objects.filter(opened_at__isnull=False, relay__endswith=_ending(company.pk))


def closed() -> list[Closed]:
    """Every company whose own server refuses us, with what it says."""
    opened = {row.relay: row for row in Breaker.objects.filter(opened_at__isnull=False)}
    if not opened:
        return []
    rows = CompanyRelay.objects.select_related("company").order_by("company")
    return [Closed(row, opened[row.breaker_name]) for row in rows if row.breaker_name in opened]


# --- For workers ----------------------------------------------------------------------------------


def references() -> dict[str, str]:
    """Name of a breaker → the company whose server it is."""
    rows = CompanyRelay.objects.select_related("company").only("host", "port", "company__reference")
    return {row.breaker_name: row.company.reference for row in rows}


@dataclass
class WatchedRelays:
    """The servers of companies as one worker sees them."""

    _rows: tuple[CompanyRelay, ...] = ()
    _skipped: frozenset[int] = frozenset()
    _until: float = 0.0
    _routes: dict[int, tuple[Any, Route]] = field(default_factory=dict)

    def _read(self) -> None:
        if time.monotonic() < self._until:
            return
        self._rows = tuple(CompanyRelay.objects.order_by("pk"))
        opened: set[str] = set()
        if self._rows:
            opened = set(Breaker.objects.filter(opened_at__isnull=False).values_list("relay", flat=True))
        self._skipped = frozenset(
            row.company_id for row in self._rows if not (row.falls_back and row.breaker_name in opened)
        )
        self._until = time.monotonic() + READ_SECONDS

    def skipped(self) -> frozenset[int]:
        """The companies whose own mail the platform's server is not to take now."""
        self._read()
        return self._skipped

    def ready(self) -> list[Route]:
        """The servers for which mail is ready."""
        self._read()
        waiting = _with_ready_mail() if self._rows else set()
        return [self._route(row) for row in self._rows if row.company_id in waiting]

    def _route(self, row: CompanyRelay) -> Route:
        known = self._routes.get(row.company_id)
        if known is None or known[0] != row.changed_at:
            known = self._routes[row.company_id] = (row.changed_at, of_relay(row))
        return known[1]


# Constants of ours only, written out for the sake of the index.
_READY = (
    "SELECT own.company_id FROM notifications_companyrelay AS own"  # noqa: S608
    " WHERE EXISTS (SELECT 1 FROM notifications_delivery"
    f" WHERE {claims.READY['mail']} AND COALESCE(company_id, 0) = own.company_id)"
)


def _with_ready_mail() -> set[int]:
    """The companies with a server of their own that have ready mail; a look into the index for each."""
    with connection.cursor() as cursor:
        cursor.execute(_READY)
        return {row[0] for row in cursor.fetchall()}
