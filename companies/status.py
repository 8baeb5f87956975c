"""Suspended and closed companies and shops: what may still be done there (docs/rules.md 4.12).

| state | notifications | settings |
|---|---|---|
| active | sent | open |
| suspended | only account and security mail | open, for the day it is active again |
| closed | only account and security mail | read only; accounts can still be disabled, unlocked, reset |

The resolver decides the sending; this module the writing. The platform's team and operators'
commands are not bound: they open again what is closed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from companies import audit
from companies.audit import Actor, Changes
from companies.models import Company, Status

if TYPE_CHECKING:
    from shops.models import Shop


class Closed(ValidationError):
    """The company or the shop is closed: its settings are read only."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="closed")


def closed_sentence(company: Company, shop: "Shop | None" = None) -> str:
    """Why nothing can be changed, in one sentence; "" where changes are open."""
    if company.status == Status.CLOSED:
        return _("La société %(name)s est fermée : son paramétrage se consulte mais ne se modifie plus.") % {
            "name": company.name
        }
    if shop is not None and shop.status == Status.CLOSED:
        return _("La boutique %(name)s est fermée : son paramétrage se consulte mais ne se modifie plus.") % {
            "name": shop.name
        }
    return ""


def ensure_open(*, actor: Actor, company: Company, shop: "Shop | None" = None) -> None:
    """Refuse a merchant's change where the company or the shop is closed; every service asks first.

    Raises:
        Closed: with the sentence to show.
    """
    if is_bound(actor) and (sentence := closed_sentence(company, shop)):
        raise Closed(sentence)


def is_active(*, company: Company, shop: "Shop | None" = None) -> bool:
    """Whether neither the company nor the shop is suspended or closed."""
    return company.status == Status.ACTIVE and (shop is None or shop.status == Status.ACTIVE)


def ensure_active(*, company: Company, shop: "Shop | None" = None) -> None:
    """Refuse to send by hand what the state holds back: a resend, a test, a replay.

    Raises:
        ValidationError: the company or the shop is suspended or closed.
    """
    if not is_active(company=company, shop=shop):
        raise ValidationError(
            _("Rien ne peut être envoyé : la société ou la boutique est suspendue ou fermée."), code="inactive"
        )


def is_bound(actor: Actor) -> bool:
    """Whether the state binds the actor: merchants' users and programs, neither staff nor commands."""
    return actor.merchant or (actor.user is not None and not actor.user.is_staff)


@dataclass(frozen=True)
class Notice:
    """What to read on every page of a company or shop that is not active."""

    title: str
    consequence: str
    reason: str
    since: datetime | None


def notices(company: Company, shop: "Shop | None" = None) -> list[Notice]:
    """One for the company and one for the shop, as far as they are not active."""
    notices = []
    if company.status != Status.ACTIVE:
        suspended = company.status == Status.SUSPENDED
        title = _("Votre société est suspendue.") if suspended else _("Votre société est fermée.")
        notices.append(Notice(title, consequence(suspended=suspended), company.status_reason, company.status_since))
    if shop is not None and shop.status != Status.ACTIVE and shop.company_id == company.pk:
        suspended = shop.status == Status.SUSPENDED
        text = _("La boutique %(name)s est suspendue.") if suspended else _("La boutique %(name)s est fermée.")
        notices.append(
            Notice(text % {"name": shop.name}, consequence(suspended=suspended), shop.status_reason, shop.status_since)
        )
    return notices


def consequence(*, suspended: bool) -> str:
    """What being suspended, or closed, means for mail and settings."""
    if suspended:
        return _(
            "Aucune notification ne part, sauf les messages de compte et de sécurité. Le paramétrage reste ouvert. "
            "Pour la réactiver, adressez-vous à votre interlocuteur de la plateforme."
        )
    return _(
        "Aucune notification ne part, sauf les messages de compte et de sécurité. Le paramétrage se consulte mais ne se "
        "modifie plus. Pour la rouvrir, adressez-vous à votre interlocuteur de la plateforme."
    )


def change(obj: "Company | Shop", *, company: Company, actor: Actor, state: str, reason: str) -> Changes:
    """Give a company or shop another state, with its reason, in the history; {} when it has it already.

    Called by `company_set_status` and `shop_set_status`, inside their transaction.

    Raises:
        ValidationError: no reason for suspending or closing.
    """
    reason = reason.strip()
    if state != Status.ACTIVE and not reason:
        raise ValidationError({"reason": _("Indiquez le motif : la société le lit sur chaque page.")})
    changes = audit.apply(obj, {"status": state, "status_reason": "" if state == Status.ACTIVE else reason})
    if not changes:
        return changes
    if "status" in changes:
        obj.status_since = timezone.now()
    obj.full_clean()
    obj.version += 1
    obj.save()
    # The reason for opening again is nowhere but in the history.
    if state == Status.ACTIVE and reason:
        changes["reason"] = [None, reason]
    audit.record(
        actor=actor, action=f"{obj._meta.model_name}.status_changed", obj=obj, company=company, changes=changes
    )
    return changes
