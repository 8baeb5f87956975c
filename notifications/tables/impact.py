"""What an address receives, and what a change of settings gains and loses, in words.

Works on delivery tables; the resolver alone decides.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.urls import reverse
from django.utils.encoding import force_str
from django.utils.functional import lazystr
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.text import addresses
from notifications.core import wording
from notifications.core.catalogue import TABLE_ROWS, Source
from notifications.core.facts import CompanyFacts
from notifications.tables.compute import DeliveryTables, tables_of


@dataclass
class Received:
    """One notification that reaches an address, for `shops` shops (0: not a shop matter)."""

    label: str
    lines: int
    shops: int


@dataclass
class Panel:
    """What one address receives; `error` when the text typed is no address.

    `is_whole` is False where the reader sees only part of the company, so that more may reach it.
    """

    email: str
    received: list[Received]
    lines: int = 0
    error: str = ""
    is_whole: bool = True

    @property
    def url(self) -> str:
        return tables_url(self.email)


def tables_url(email: str) -> str:
    return reverse("addresses", query={"address": email})


def panel(tables: DeliveryTables, email: str) -> Panel:
    """What `email` receives under these tables, one entry a notification."""
    email = addresses.bare(email)
    try:
        typed = addresses.validate_single(email)
    except addresses.InvalidAddress as error:
        return Panel(email, [], error=str(error))
    wanted = addresses.normalise(typed)
    table = next((item for item in tables.addresses if item.normalised == wanted), None)
    lines = table.receives if table else []
    codes = Counter(line.notification for line in lines)
    received = [
        Received(
            wording.notification_label(code),
            count,
            len({line.shop for line in lines if line.notification == code and line.shop}),
        )
        for code, count in codes.items()
    ]
    return Panel(typed, received, len(lines), is_whole=tables.company.is_whole)


def panels(facts: CompanyFacts, emails: Iterable[str]) -> list[Panel]:
    """What each address receives; only the shops that may write to one of them are resolved."""
    asked = list(emails)
    tables = tables_of(facts, asked) if asked else None
    return [panel(tables, email) for email in asked] if tables else []


def with_shop_manager(facts: CompanyFacts, site_id: str, email: str) -> CompanyFacts:
    """The facts as they would be with another manager address of a shop; empty: inherited."""
    return replace(
        facts,
        shops=tuple(
            replace(shop, manager_email=email or None) if shop.site_id == site_id else shop for shop in facts.shops
        ),
    )


def difference(before: DeliveryTables, after: DeliveryTables) -> list[tuple[str, int, int]]:
    """(address, lines gained, lines lost) of every address whose lines differ."""

    def lines(tables: DeliveryTables) -> dict[str, tuple[str, set[tuple[object, ...]]]]:
        return {
            table.normalised: (
                table.email,
                {(line.notification, line.shop, line.rule, line.account) for line in table.receives},
            )
            for table in tables.addresses
        }

    old, new = lines(before), lines(after)
    changed = []
    for key in sorted(old.keys() | new.keys()):
        email = (new.get(key) or old[key])[0]
        had, has = old.get(key, ("", set()))[1], new.get(key, ("", set()))[1]
        if had != has:
            changed.append((email, len(has - had), len(had - has)))
    return changed


def difference_sentence(before: DeliveryTables, after: DeliveryTables) -> SafeString:
    """« +3 notifications vers x@y, −3 vers z@y », each linked to its table."""
    changed = difference(before, after)
    if not changed:
        return format_html("{}", _("Les destinataires des notifications restent les mêmes."))
    parts = []
    for email, gained, lost in sorted(changed, key=lambda item: -item[1])[:6]:
        for sign, count in (("+", gained), ("−", lost)):
            if count:
                counted = ngettext("%(n)d notification vers", "%(n)d notifications vers", count) % {"n": count}
                parts.append((sign, counted, tables_url(email), email))
    text = format_html_join(", ", '{}{} <a href="{}">{}</a>', parts)
    if len(changed) > 6:
        text = format_html('{}, <a href="{}">{}</a>', text, reverse("addresses"), _("et d'autres adresses"))
    return format_html("{}.", text)


def source_sentence(source: Source, *, also: Sequence[str] = ()) -> object:
    """One lazy line on what an address typed at this place receives, from the catalogue.

    Args:
        also: codes of notifications that reach it through another setting, such as a rule.
    """
    return lazystr(_Sentence(source, tuple(also)))


class _Sentence:
    def __init__(self, source: Source, also: tuple[str, ...]) -> None:
        self.source, self.also = source, also

    def __str__(self) -> str:
        labels = [
            force_str(row.label) for row in TABLE_ROWS if self.source in (row.to, row.cc) or row.code in self.also
        ]
        if not labels:
            return _("À ce titre, cette adresse ne reçoit aucun e-mail de la plateforme.")
        return _("Reçoit : %(list)s.") % {"list": " · ".join(labels)}
