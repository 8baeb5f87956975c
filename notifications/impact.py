"""What an address receives, and what a change of settings gains and loses, in words.

Works on delivery tables; the resolver alone decides.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.utils.encoding import force_str
from django.utils.functional import lazystr
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from . import addresses, wording
from .catalogue import TABLE_ROWS, Source
from .facts import CompanyFacts
from .selectors import DeliveryTables, delivery_tables


@dataclass
class Received:
    """One notification that reaches an address, for `shops` shops (0: not a shop matter)."""

    label: str
    lines: int
    shops: int


@dataclass
class Panel:
    """What one address receives; `error` when the text typed is no address."""

    email: str
    received: list[Received]
    lines: int = 0
    error: str = ""

    @property
    def url(self) -> str:
        return tables_url(self.email)


def tables_url(email: str) -> str:
    return f"/notifications/addresses/?{urlencode({'address': email})}"


def panel(tables: DeliveryTables, email: str) -> Panel:
    """What `email` receives under these tables, one entry a notification."""
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
    return Panel(typed, received, len(lines))


def panels(facts: CompanyFacts, emails: Iterable[str]) -> list[Panel]:
    tables = delivery_tables(facts)
    return [panel(tables, email) for email in emails]


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
    found = []
    for key in sorted(old.keys() | new.keys()):
        email = (new.get(key) or old[key])[0]
        had, has = old.get(key, ("", set()))[1], new.get(key, ("", set()))[1]
        if had != has:
            found.append((email, len(has - had), len(had - has)))
    return found


def difference_sentence(before: DeliveryTables, after: DeliveryTables) -> SafeString:
    """« +3 notifications vers x@y, −3 vers z@y », each linked to its table."""
    found = difference(before, after)
    if not found:
        return format_html("{}", _("Les destinataires des notifications restent les mêmes."))
    parts = []
    for email, gained, lost in sorted(found, key=lambda item: -item[1])[:6]:
        for sign, count in (("+", gained), ("−", lost)):
            if count:
                counted = ngettext("%(n)d notification vers", "%(n)d notifications vers", count) % {"n": count}
                parts.append((sign, counted, tables_url(email), email))
    text = format_html_join(", ", '{}{} <a href="{}">{}</a>', parts)
    if len(found) > 6:
        text = format_html('{}, <a href="/notifications/addresses/">{}</a>', text, _("et d'autres adresses"))
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
            return _("Cette adresse ne reçoit aucun e-mail de la plateforme.")
        return _("Reçoit : %(list)s.") % {"list": " · ".join(labels)}
