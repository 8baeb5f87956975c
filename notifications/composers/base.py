"""What composers share: the content of a mail, what they may read, and the pieces they repeat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from companies.models import SftpAccount, User

from ..currencies import exponent
from ..models import Event, NotificationRule

# Stands in a frozen message where the single-use link of its account goes; filled in at sending.
LINK_MARK = "%%LINK%%"
# Stands in the foot of a letter where the recipient's own address to unsubscribe goes.
UNSUBSCRIBE_MARK = "%%UNSUBSCRIBE%%"


# A paragraph of a mail: one line, or several that stay lines.
Paragraph = str | tuple[str, ...]


@dataclass
class Content:
    """A mail before rendering: what happened, the facts, what to do.

    Attributes:
        subject: one line, without the TEST mark.
        headline: first line of the mail.
        facts: (label, value) pairs, shown as a two-column list.
        paragraphs: what to know or do; a string is one line whatever it holds, a tuple gives lines.
        action: (label, absolute URL) of the one button, or None.
        body: a longer text with the small formatting of `markup`, shown after the facts.
        unsubscribe: whether the foot links to the page that ends such mail.
        lead: paragraphs between the headline and the facts.
        sender: whose mail it is, where that is not the platform; its foot has no link of ours then.
    """

    subject: str
    headline: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    paragraphs: Sequence[Paragraph] = ()
    action: tuple[str, str] | None = None
    reply_to: str = ""
    body: str = ""
    unsubscribe: bool = False
    lead: Sequence[Paragraph] = ()
    sender: str = ""


@dataclass(frozen=True)
class Context:
    """What a composer may read."""

    event: Event
    rule: NotificationRule | None = None
    account: User | SftpAccount | None = None

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.event.data
        return data

    @property
    def shop_name(self) -> str:
        return self.event.shop.name if self.event.shop else ""


Composer = Callable[[Context], Content]
COMPOSERS: dict[str, Composer] = {}


def composer(code: str) -> Callable[[Composer], Composer]:
    """Register the function that writes the mails of one catalogue row."""

    def register(function: Composer) -> Composer:
        COMPOSERS[code] = function
        return function

    return register


# --- Pieces ---------------------------------------------------------------------------------------


def one_line(text: str) -> str:
    """A subject without line breaks or control characters: nothing typed by anybody adds a header."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def shop_facts(event: Event) -> list[tuple[str, str]]:
    shop = event.shop
    assert shop
    return [
        (_("Société"), event.company.name),
        (_("Boutique"), f"{shop.name} ({shop.site_id})"),
        (_("Mode"), event.mode),
    ]


def payment_facts(event: Event) -> list[tuple[str, str]]:
    """The facts of a payment event: those it carries, in the order people look for them."""
    data = event.data
    facts = [(_("Date"), when_text(event.occurred_at))]
    if isinstance(data.get("amount"), int):
        facts.append((_("Montant"), amount_text(data["amount"], str(data.get("currency") or ""))))
    for key, label in (
        ("transaction_id", _("Transaction")),
        ("order_id", _("Commande")),
        ("network", _("Réseau")),
        ("contract", _("Contrat")),
        ("buyer_email", _("E-mail de l'acheteur")),
        ("reason", _("Motif")),
        ("error", _("Erreur")),
    ):
        if data.get(key):
            facts.append((label, one_line(str(data[key]))[:300]))
    return facts


def amount_text(amount: int, currency: str) -> str:
    """An amount of the smallest unit in local form, e.g. 1990 EUR → « 19,90 EUR »."""
    decimals = exponent(currency)
    value = Decimal(amount).scaleb(-decimals)
    text = number_format(value, decimal_pos=decimals, use_l10n=True, force_grouping=True)
    return f"{text} {currency}".strip()


def when_text(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return f"{date_format(local, 'DATETIME_FORMAT')} ({timezone.get_current_timezone_name()})"


def page_url(path: str) -> str:
    return settings.BASE_URL + path


def changed_text(data: dict[str, Any]) -> str:
    names = {
        "login": _("identifiant"),
        "first_name": _("prénom"),
        "last_name": _("nom"),
        "title": _("civilité"),
        "email": _("adresse e-mail"),
        "is_active": _("état"),
        "role": _("rôle"),
        "shops": _("boutiques"),
        "rights": _("droits par boutique"),
        "password": _("mot de passe"),
    }
    return ", ".join(names.get(name, name) for name in data.get("changed", []))
