"""What composers share: the content of a mail, what they may read, and the pieces they repeat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.urls import get_script_prefix, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from backoffice.text import characters, times
from backoffice.text.amounts import amount_text as amount_text
from companies.models import SftpAccount, User
from notifications.models import Event, NotificationRule

# Stands in a frozen message where the single-use link of its account goes; filled in at sending.
LINK_MARK = "%%LINK%%"
# Stands in the foot of a letter where the recipient's own address to unsubscribe goes.
UNSUBSCRIBE_MARK = "%%UNSUBSCRIBE%%"


@dataclass(frozen=True)
class Link:
    """A link that stands among the paragraphs, right under the one that announces it; a button unless `quiet`."""

    label: str
    url: str
    quiet: bool = False


# A paragraph of a mail: one line, several that stay lines, or a button.
Paragraph = str | tuple[str, ...] | Link


@dataclass
class Content:
    """A mail before rendering: what happened, the facts, what to do.

    Attributes:
        subject: one line, without the TEST mark.
        headline: first line of the mail.
        facts: (label, value) pairs, shown as a two-column list.
        paragraphs: what to know or do; a string is one line whatever it holds, a tuple gives lines.
        action: (label, absolute URL) of the button at the end, or None.
        body: a longer text with the small formatting of `markup`, shown after the facts.
        unsubscribe: whether the foot links to the page that ends such mail.
        lead: paragraphs between the headline and the facts.
        sender: whose mail it is, where that is not the platform; its foot has no link of ours then.
        thread: what is equal in the mails that mailboxes should show as one conversation.
        preview: what lists of mails show beside the subject, where the first facts would say too little.
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
    preview: str = ""
    thread: str = ""


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
    """A subject without line breaks and control characters, so that typed text cannot add a header.

    What hides or reorders goes as well; the joiners inside words of many scripts and inside emoji stay.
    """
    return characters.one_line(text)


def shop_facts(event: Event) -> list[tuple[str, str]]:
    shop = event.shop
    assert shop
    return [
        (_("Société"), event.company.name),
        (_("Boutique"), f"{shop.name} ({shop.site_id})"),
        (_("Mode"), event.mode),
    ]


def when_text(moment: datetime) -> str:
    return times.in_mail(moment)


def page_url(route: str, *args: str, **query: str) -> str:
    """The whole address of a page of the back office."""
    path = _path(get_script_prefix(), route, args)
    return f"{settings.BASE_URL}{path}?{urlencode(query)}" if query else f"{settings.BASE_URL}{path}"


@lru_cache(maxsize=1024)
def _path(prefix: str, route: str, args: tuple[str, ...]) -> str:
    """Where a page is: every mail links to the same few."""
    return reverse(route, args=args)


def support_link() -> Link:
    """The link to the support page, under a sentence that names it."""
    return Link(_("Contacter le support"), page_url("support"), quiet=True)


def trial_note(context: Context) -> str:
    """The sentence of every mail about a test; empty in PRODUCTION."""
    return _("Essai (mode TEST) : aucun mouvement d'argent.") if context.event.mode == "TEST" else ""


def changed_facts(context: Context) -> list[tuple[str, str]]:
    """What was changed of an account, from what to what, and by whom; a secret is named without a value.

    Read from the entry of the history that the change has just written, in the same transaction.
    """
    from companies import audit
    from companies.history import entries as history

    account, told = context.account, set(context.data.get("changed", []))
    assert account
    entry = history.last_entry(account)
    facts: list[tuple[str, str]] = []
    covered: set[str] = set()
    if entry is not None:
        for name, (label, before, after) in history.named_changes(entry):
            kind = name.partition(".")[0]
            if kind not in told:
                continue
            covered.add(kind)
            if audit.MASK in (before, after):
                facts.append((label, _("remplacé")))
            else:
                facts.append((label, _("%(before)s → %(after)s") % {"before": before, "after": after}))
    if told - covered:
        facts.insert(0, (_("Modifié"), changed_text({"changed": sorted(told - covered)})))
    if entry is not None and entry.actor_label:
        facts.append((_("Modifié par"), history.actor_words(entry)))
    return facts


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
        "access": _("accès à la société"),
        "password": _("mot de passe"),
    }
    return ", ".join(names.get(name, name) for name in data.get("changed", []))
