"""Verification mails: asked for by people, or by saving a new address; and what confirms an address."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from backoffice.text import addresses
from companies import status
from companies.audit import Actor
from companies.models import Company, SftpAccount, User
from companies.rights import access
from notifications.core.address_health import AddressState, Cause
from notifications.core.facts import Occasion
from notifications.events.publishing import publish
from notifications.health import recording
from notifications.mail import verify_links
from notifications.models import AddressHealth

# Between two verification mails to the same address.
PAUSE = timedelta(minutes=2)


@transaction.atomic
def verification_ask(*, company: Company, address: str, actor: Actor) -> None:
    """Send an address a mail with the link that confirms it, also where it is suppressed.

    Raises ValidationError when it is verified already, or was asked a moment ago, and where the company is not active,
    so that no mail would leave.
    """
    status.ensure_open(actor=actor, company=company)
    status.ensure_active(company=company)
    health = recording.held(company, addresses.normalise(address))
    if health.state == AddressState.VERIFIED:
        raise ValidationError(_("%(address)s est déjà vérifiée.") % {"address": address})
    if health.asked_at is not None and timezone.now() - health.asked_at < PAUSE:
        raise ValidationError(
            _("Un e-mail de vérification vient de partir vers %(address)s. Patientez deux minutes avant le suivant.")
            % {"address": address}
        )
    _send(health, address, actor)


_is_silent: ContextVar[bool] = ContextVar("verification_is_silent", default=False)


@contextmanager
def silent(*, wanted: bool = True) -> Iterator[None]:
    """Context in which no verification mail is sent, for documents that are applied without `notify`."""
    token = _is_silent.set(wanted)
    try:
        yield
    finally:
        _is_silent.reset(token)


def addresses_saved(*, company: Company, saved: Iterable[str], actor: Actor) -> int:
    """Ask each new address to confirm itself, where the company wants that; returns how many mails that is.

    Called by the services in the transaction that saves an address. New is one that was never asked, and of which
    nothing else is known.
    """
    if not company.verify_addresses or _is_silent.get() or not status.is_active(company=company):
        return 0
    typed = {addresses.normalise(address): address for address in saved if address and not address.startswith("@")}
    known = AddressHealth.objects.filter(company=company, normalised_address__in=typed)
    for normalised in known.values_list("normalised_address", flat=True):
        typed.pop(normalised, None)
    for normalised, address in typed.items():
        _send(recording.held(company, normalised), address, actor)
    return len(typed)


def _send(health: AddressHealth, address: str, actor: Actor) -> None:
    health.asked_at = timezone.now()
    health.save(update_fields=["asked_at"])
    publish(
        type=verify_links.EVENT,
        company=health.company,
        data={"address": address, "author": actor.label},
        occasion=Occasion(address=address, verifies=True),
    )


def opened_by_link(*, account: User | SftpAccount, address: str, actor: Actor) -> None:
    """The owner of an account came in by a link that was sent to this address, which verifies it in each of its companies."""
    keys = {account.company_id} if account.company_id is not None else set()
    if isinstance(account, User):
        keys |= set(access.memberships(account).values_list("company_id", flat=True))
    for company in Company.objects.filter(pk__in=keys).order_by("pk"):
        recording.address_verified(
            company=company, normalised=addresses.normalise(address), cause=Cause.LOGIN, actor=actor
        )
