"""What the delivery tables look like on a page: lines in words, folded, searched and filtered.

Works on what the resolver decided; reads nothing from the database.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from companies import access, permissions
from companies.models import Membership

from . import addresses, wording
from .catalogue import BY_CODE, TABLE_ROWS, Notification, Scope, Source
from .facts import CompanyFacts, ShopFacts
from .models import Delivery
from .resolver import Decision
from .selectors import AddressTable, DeliveryTables

# Up to this many lines, each has its own row; beyond, shops with the same answer share one.
FLAT_LIMIT = 60
# Shops named in a folded row; the rest is one link away.
NAMED_SHOPS = 10

# Reasons that name one shop, for rows that stand for several.
_REASONS_OF_SEVERAL = {
    "shop_manager": gettext_lazy("C'est l'e-mail gestionnaire de chacune de ces boutiques."),
    "shop_manager_inherited": gettext_lazy(
        "C'est l'e-mail gestionnaire de chacune de ces boutiques, hérité du Contact gestionnaire de la société."
    ),
    "rule_shop_manager": gettext_lazy(
        "La règle « %(rule)s » prévient l'e-mail gestionnaire de chacune de ces boutiques."
    ),
    "rule_shop_manager_inherited": gettext_lazy(
        "La règle « %(rule)s » prévient l'e-mail gestionnaire de chacune de ces boutiques, hérité du Contact "
        "gestionnaire de la société."
    ),
    "rule_recipient": gettext_lazy(
        "L'adresse est un destinataire de la règle « %(rule)s » de chacune de ces boutiques."
    ),
    "shop_suspended": gettext_lazy(
        "Ces boutiques sont suspendues : seuls les e-mails de compte et de sécurité partent."
    ),
    "shop_closed": gettext_lazy("Ces boutiques sont fermées : seuls les e-mails de compte et de sécurité partent."),
}

# kind of role → filter label, menu path of the place where the address is typed, what to know there.
ROLE_KINDS = {
    "company_manager": gettext_lazy("Contact gestionnaire"),
    "technical_contact": gettext_lazy("Contact technique"),
    "incident_contact": gettext_lazy("Contact en cas d'incident"),
    "shop_manager": gettext_lazy("E-mail gestionnaire de la boutique"),
    "rule": gettext_lazy("Destinataire d'une règle"),
    "user": gettext_lazy("Compte utilisateur"),
    "sftp_account": gettext_lazy("Compte SFTP"),
}
_PLACES = {
    "company_manager": (
        gettext_lazy("Paramétrage > Société > Infos Société, rubrique Contact gestionnaire"),
        "/settings/company/",
    ),
    "technical_contact": (
        gettext_lazy("Paramétrage > Société > Infos Société, rubrique Contact technique"),
        "/settings/company/",
    ),
    "incident_contact": (
        gettext_lazy("Paramétrage > Société > Infos Société, rubrique E-mail(s) de contact en cas d'incident"),
        "/settings/company/",
    ),
    "shop_manager": (
        gettext_lazy("Paramétrage > Boutique > Configuration, champ E-mail gestionnaire"),
        "/settings/shops/",
    ),
    "rule": (gettext_lazy("Paramétrage > Règles de notifications"), "/settings/notification-rules/"),
    "user": (gettext_lazy("Paramétrage > Société > Utilisateurs"), "/settings/company/users/"),
    "sftp_account": (gettext_lazy("Paramétrage > Société > Comptes SFTP"), "/settings/company/sftp-accounts/"),
}


@dataclass
class Row:
    """One row of a table: a line, or several lines that say the same of different shops.

    Attributes:
        shops: (site_id, name) of every shop meant; empty for company and account matters.
        url: where to change it; empty when the user may not, or when it differs by shop.
    """

    decision: Decision
    label: str
    detail: str
    address: str
    as_label: str
    condition: str
    reason: str
    url: str
    shops: list[tuple[str, str]] = field(default_factory=list)
    remark: str = ""

    @property
    def code(self) -> str:
        return self.decision.notification

    @property
    def named_shops(self) -> list[tuple[str, str]]:
        return self.shops[:NAMED_SHOPS]

    @property
    def unnamed_count(self) -> int:
        return max(0, len(self.shops) - NAMED_SHOPS)


def may_edit(membership: Membership, decision: Decision) -> bool:
    """Whether the user may change what a line depends on."""
    if BY_CODE[decision.notification].scope is Scope.RULE:
        needed = permissions.MANAGE_RULES
    elif decision.source == Source.SHOP_MANAGER:
        needed = permissions.EDIT_SETTINGS
    elif decision.source in (Source.USER, Source.SFTP_ACCOUNT):
        needed = permissions.MANAGE_USERS
    else:
        needed = permissions.MANAGE_COMPANY
    if decision.shop and needed in permissions.SHOP_LEVEL:
        return access.has_on_site(membership, needed, decision.shop)
    return access.can(membership, needed)


def rows(
    decisions: Sequence[Decision], facts: CompanyFacts, membership: Membership, *, limit: int = FLAT_LIMIT
) -> list[Row]:
    """The rows of a table, in the order of the decisions; shops are folded beyond `limit` lines."""
    return rows_of(groups(decisions, limit=limit), facts, membership)


def rows_of(found: Iterable[list[Decision]], facts: CompanyFacts, membership: Membership) -> list[Row]:
    """One row a group of lines."""
    shops = {shop.site_id: shop for shop in facts.shops}
    return [_row(group, shops, membership) for group in found]


def groups(decisions: Sequence[Decision], *, limit: int = FLAT_LIMIT) -> list[list[Decision]]:
    """The lines that share a row: each its own up to `limit` lines, else those that differ only by shop."""
    if len(decisions) <= limit:
        return [[decision] for decision in decisions]
    found: dict[tuple[Any, ...], list[Decision]] = {}
    for decision in decisions:
        found.setdefault(_fold_key(decision), []).append(decision)
    return list(found.values())


def _fold_key(decision: Decision) -> tuple[Any, ...]:
    return (
        decision.notification,
        decision.address,
        decision.as_,
        decision.source,
        decision.reason,
        decision.rule,
        decision.params.get("rule"),
        decision.params.get("address"),
        decision.account,
        str(decision.conditions),
        decision.shop is None,
    )


def _row(group: list[Decision], shops: dict[str, ShopFacts], membership: Membership) -> Row:
    first = group[0]
    urls = {wording.configured_at(decision) for decision in group}
    detail = wording.rule_label(str(first.params.get("rule") or "")) if first.rule else (first.account or "")
    return Row(
        decision=first,
        label=wording.notification_label(first.notification),
        detail=detail,
        address=first.address,
        as_label=force_str(Delivery.As(first.as_).label),
        condition=wording.condition_sentence(first) or "",
        reason=_reason(group),
        url=urls.pop() if len(urls) == 1 and may_edit(membership, first) else "",
        shops=[(item.shop, shops[item.shop].name) for item in group if item.shop],
        remark=_remark(group, shops) if first.notification == "ipn_failure" else "",
    )


def _reason(group: list[Decision]) -> str:
    first = group[0]
    several = _REASONS_OF_SEVERAL.get(first.reason) if len(group) > 1 else None
    if several is None:
        return wording.decision_reason(first)
    sentence = force_str(several) % {"rule": first.params.get("rule", "")}
    remark = wording.REMARKS.get(first.notification)
    return f"{sentence} {force_str(remark)}" if remark and first.delivers else sentence


def _remark(group: list[Decision], shops: dict[str, ShopFacts]) -> str:
    """A rule without URL calls nothing, so nothing of it can fail: to be known beside its line."""
    first = group[0]
    if len(group) > 1 or not first.delivers or not first.shop:
        return ""
    if any(rule.reference == first.rule and not rule.has_url for rule in shops[first.shop].rules):
        return _("URL non définie : la règle n'appelle encore rien.")
    return ""


# --- One address ----------------------------------------------------------------------------------


def role_words(table: AddressTable, facts: CompanyFacts) -> list[str]:
    """The roles of an address in words; more than three of one kind are counted."""
    kinds: dict[str, list[str]] = {}
    for role in table.roles:
        kinds.setdefault(role.partition(":")[0], []).append(role)
    words: list[str] = []
    for kind, found in kinds.items():
        if len(found) <= 3:
            words += [wording.role_label(facts, role) for role in found]
        elif kind == "shop_manager":
            words.append(
                ngettext("Gestionnaire de %(n)s boutique", "Gestionnaire de %(n)s boutiques", len(found))
                % {"n": len(found)}
            )
        elif kind == "rule":
            words.append(
                ngettext("Destinataire de %(n)s règle", "Destinataire de %(n)s règles", len(found)) % {"n": len(found)}
            )
        else:
            words.append(f"{force_str(ROLE_KINDS[kind])} × {len(found)}")
    return words


def role_kinds(table: AddressTable) -> list[str]:
    """The kinds of its roles, in their order, once each."""
    return list(dict.fromkeys(role.partition(":")[0] for role in table.roles))


def places(table: AddressTable) -> list[dict[str, str]]:
    """Where the address is configured: menu path and page, once per kind of role."""
    found = []
    for kind in role_kinds(table):
        label, url = _PLACES[kind]
        about = [role.partition(":")[2] for role in table.roles if role.startswith(f"{kind}:")]
        if len(about) == 1 and kind == "shop_manager":
            url = f"/settings/shops/{about[0]}/configuration/"
        elif len(about) == 1 and kind == "rule":
            site_id, _slash, reference = about[0].partition("/")
            url = f"/settings/notification-rules/?shop={site_id}&rule={reference}"
        found.append({"label": force_str(label), "url": url, "kind": kind})
    return found


# --- Search and filters ---------------------------------------------------------------------------


def folded(text: str) -> str:
    """Text as people search it: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


@dataclass(frozen=True)
class Wanted:
    """What of the tables is asked for; empty fields ask for everything."""

    q: str = ""
    shop: str = ""
    notification: str = ""
    role: str = ""

    def __bool__(self) -> bool:
        return bool(self.q.strip() or self.shop or self.notification or self.role)


def filtered(tables: DeliveryTables, wanted: Wanted) -> DeliveryTables:
    """The tables with the lines asked for, and the addresses that have some or match by themselves."""
    if not wanted:
        return tables
    keep = line_filter(tables.company, wanted)
    needle = folded(wanted.q.strip())
    whole = addresses.normalise(wanted.q) if wanted.q.strip() else ""
    shops = {shop.site_id for shop in tables.company.shops if _names_shop(shop.name, shop.site_id, needle)}
    found = []
    for table in tables.addresses:
        if wanted.role and wanted.role not in role_kinds(table):
            continue
        by_itself = bool(needle) and (needle in folded(table.email) or whole in table.normalised)
        matches = keep(by_itself)
        receives = [line for line in table.receives if matches(line)]
        why_not = [line for line in table.why_not if matches(line)]
        role_shops = {role.partition(":")[2].partition("/")[0] for role in table.roles if ":" in role}
        named = (by_itself or not needle or bool(role_shops & shops)) and not wanted.notification
        if wanted.shop:
            named = named and wanted.shop in role_shops
        if receives or why_not or named:
            found.append(AddressTable(table.email, table.normalised, table.roles, receives, why_not))
    matches = keep(False)
    return DeliveryTables(tables.company, found, [gap for gap in tables.gaps if matches(gap)])


def _names_shop(name: str, site_id: str, needle: str) -> bool:
    return bool(needle) and (needle in folded(name) or (len(needle) >= 3 and needle in site_id))


def line_filter(facts: CompanyFacts, wanted: Wanted) -> Callable[[bool], Callable[[Decision], bool]]:
    """A function of "the address matched the search itself" that gives the test of a line."""
    needle = folded(wanted.q.strip())
    shops = {shop.site_id for shop in facts.shops if _names_shop(shop.name, shop.site_id, needle)}
    codes = {row.code for row in TABLE_ROWS if needle and needle in folded(force_str(row.label))}

    def for_address(by_itself: bool) -> Callable[[Decision], bool]:
        def matches(line: Decision) -> bool:
            if wanted.shop and line.shop != wanted.shop:
                return False
            if wanted.notification and line.notification != wanted.notification:
                return False
            if not needle or by_itself or line.shop in shops or line.notification in codes:
                return True
            return needle in folded(str(line.params.get("rule", "")))

        return matches

    return for_address


# --- One notification -----------------------------------------------------------------------------


@dataclass
class NotificationSection:
    """One catalogue row the other way round: who is told, who is not, and where nobody is."""

    row: Notification
    receives: list[Decision] = field(default_factory=list)
    why_not: list[Decision] = field(default_factory=list)
    gaps: list[Decision] = field(default_factory=list)

    @property
    def label(self) -> str:
        return force_str(self.row.label)

    @property
    def when(self) -> str:
        return force_str(self.row.when)


def by_notification(facts: CompanyFacts, decisions: Iterable[Decision], wanted: Wanted) -> list[NotificationSection]:
    """Decisions grouped by catalogue row, in its order; rows that the filters leave empty are out.

    With a shop chosen, matters of the company as a whole stay: they concern that shop's merchant too.
    """
    sections = {row.code: NotificationSection(row) for row in TABLE_ROWS}
    keep = line_filter(facts, Wanted(q=wanted.q, notification=wanted.notification))
    needle = folded(wanted.q.strip())
    for decision in decisions:
        if wanted.shop and decision.shop not in (None, wanted.shop):
            continue
        by_itself = bool(needle) and needle in folded(decision.address)
        if not keep(by_itself)(decision):
            continue
        section = sections[decision.notification]
        if decision.gap:
            section.gaps.append(decision)
        elif decision.delivers:
            section.receives.append(decision)
        else:
            section.why_not.append(decision)
    return [
        section
        for section in sections.values()
        if section.receives or section.why_not or section.gaps or not (wanted.q or wanted.notification)
    ]
