"""What the delivery tables look like on a page: lines in words, folded, searched and filtered.

Works on what the resolver decided; reads nothing from the database.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django import forms
from django.urls import reverse
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from backoffice.base.forms import _Filter
from backoffice.text import addresses
from companies.models import Membership
from companies.rights import access, permissions
from notifications.core import wording
from notifications.core.catalogue import (
    BY_CODE,
    NOTIFICATION_OF_RULE_TYPE,
    TABLE_ROWS,
    Notification,
    RuleType,
    Scope,
    Source,
)
from notifications.core.facts import CompanyFacts, ShopFacts
from notifications.core.health_wording import STATE_LABELS
from notifications.core.reasons import Reason
from notifications.core.resolver import Decision
from notifications.models import Delivery
from notifications.tables.compute import AddressTable, DeliveryTables

# Up to this many lines, each has its own row; beyond, shops with the same answer share one.
FLAT_LIMIT = 60
# Shops named in a folded row; the rest is one link away.
NAMED_SHOPS = 10

# Reasons that name one shop, for rows that stand for several.
_REASONS_OF_SEVERAL = {
    Reason.SHOP_MANAGER: gettext_lazy("C'est l'e-mail gestionnaire de chacune de ces boutiques."),
    Reason.SHOP_MANAGER_INHERITED: gettext_lazy(
        "C'est l'e-mail gestionnaire de chacune de ces boutiques, hérité du Contact gestionnaire de la société."
    ),
    Reason.RULE_SHOP_MANAGER: gettext_lazy(
        "La règle « %(rule)s » prévient l'e-mail gestionnaire de chacune de ces boutiques."
    ),
    Reason.RULE_SHOP_MANAGER_INHERITED: gettext_lazy(
        "La règle « %(rule)s » prévient l'e-mail gestionnaire de chacune de ces boutiques, hérité du Contact "
        "gestionnaire de la société."
    ),
    Reason.RULE_RECIPIENT: gettext_lazy(
        "L'adresse est un destinataire de la règle « %(rule)s » de chacune de ces boutiques."
    ),
    Reason.SHOP_SUSPENDED: gettext_lazy(
        "Ces boutiques sont suspendues : seuls les e-mails de compte et de sécurité partent."
    ),
    Reason.SHOP_CLOSED: gettext_lazy(
        "Ces boutiques sont fermées : seuls les e-mails de compte et de sécurité partent."
    ),
}

# kind of role → filter label.
ROLE_KINDS = {
    "company_manager": gettext_lazy("Contact gestionnaire"),
    "technical_contact": gettext_lazy("Contact technique"),
    "incident_contact": gettext_lazy("Contact en cas d'incident"),
    "shop_manager": gettext_lazy("E-mail gestionnaire de la boutique"),
    "rule": gettext_lazy("Destinataire d'une règle"),
    "user": gettext_lazy("Compte utilisateur"),
    "sftp_account": gettext_lazy("Compte SFTP"),
}
# kind of role → its name in a list.
_SHORT_ROLES = {
    "company_manager": pgettext_lazy("short role", "Gestionnaire"),
    "technical_contact": pgettext_lazy("short role", "Contact technique"),
    "incident_contact": pgettext_lazy("short role", "Incidents"),
    "user": pgettext_lazy("short role", "Utilisateur"),
    "sftp_account": pgettext_lazy("short role", "Compte SFTP"),
}
# kind of role → menu path of the place where the address is typed, and its route.
_PLACES = {
    "company_manager": (
        gettext_lazy("Paramétrage > Société > Infos Société, rubrique Contact gestionnaire"),
        "company_settings",
    ),
    "technical_contact": (
        gettext_lazy("Paramétrage > Société > Infos Société, rubrique Contact technique"),
        "company_settings",
    ),
    "incident_contact": (
        gettext_lazy("Paramétrage > Société > Infos Société, rubrique E-mail(s) de contact en cas d'incident"),
        "company_settings",
    ),
    "shop_manager": (
        gettext_lazy("Paramétrage > Boutique > Configuration, champ E-mail gestionnaire"),
        "shops",
    ),
    "rule": (gettext_lazy("Paramétrage > Règles de notifications"), "rules"),
    "user": (gettext_lazy("Paramétrage > Société > Utilisateurs"), "users"),
    "sftp_account": (gettext_lazy("Paramétrage > Société > Comptes SFTP"), "sftp_accounts"),
}


class FoldedRow:
    """A row that may stand for several shops, of which a page names some."""

    # (site_id, name) of every shop meant; empty for company and account matters.
    shops: list[tuple[str, str]]
    # Of the shops named, in their order: where each is changed; empty where the user may not.
    urls: list[str]

    @property
    def lines(self) -> int:
        """How many lines the row stands for."""
        return max(1, len(self.shops))

    @property
    def named_shops(self) -> list[tuple[str, str, str]]:
        """(site_id, name, where it is changed) of the first shops."""
        urls = [*self.urls, *[""] * NAMED_SHOPS]
        return [(*shop, url) for shop, url in zip(self.shops[:NAMED_SHOPS], urls, strict=False)]

    @property
    def unnamed_count(self) -> int:
        return max(0, len(self.shops) - NAMED_SHOPS)


@dataclass
class Row(FoldedRow):
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
    urls: list[str] = field(default_factory=list)

    @property
    def is_on_purpose(self) -> bool:
        """Whether a user confirmed that nobody is told."""
        return self.decision.reason is Reason.NOBODY_ON_PURPOSE

    @property
    def code(self) -> str:
        return self.decision.notification


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


def rows_of(alike: Iterable[list[Decision]], facts: CompanyFacts, membership: Membership) -> list[Row]:
    """One row a group of lines."""
    shops = {shop.site_id: shop for shop in facts.shops}
    return [_row(group, shops, membership) for group in alike]


def groups(decisions: Sequence[Decision], *, limit: int = FLAT_LIMIT) -> list[list[Decision]]:
    """The lines that share a row: each its own up to `limit` lines, else those that differ only by shop."""
    if len(decisions) <= limit:
        return [[decision] for decision in decisions]
    alike: dict[tuple[Any, ...], list[Decision]] = {}
    for decision in decisions:
        alike.setdefault(_fold_key(decision), []).append(decision)
    return list(alike.values())


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
        decision.conditions,
        decision.digest,
        decision.shop is None,
    )


def _row(group: list[Decision], shops: dict[str, ShopFacts], membership: Membership) -> Row:
    first = group[0]
    place = wording.configured_at(first)
    # The first that stands elsewhere is enough: a row may stand for hundreds of shops.
    is_one_place = all(wording.configured_at(decision) == place for decision in group)
    detail = wording.rule_label(str(first.params.get("rule") or "")) if first.rule else (first.account or "")
    return Row(
        decision=first,
        label=wording.notification_label(first.notification),
        detail=detail,
        address=first.address,
        as_label=force_str(Delivery.As(first.as_).label),
        condition=wording.condition_sentence(first) or "",
        reason=_reason(group),
        url=place if is_one_place and may_edit(membership, first) else "",
        shops=[(item.shop, shops[item.shop].name) for item in group if item.shop],
        remark=_remark(group, shops)
        if BY_CODE[first.notification].tells_of_calls
        else wording.digest_words(first.digest),
        urls=_urls(group, membership) if len(group) > 1 else [],
    )


def _urls(group: list[Decision], membership: Membership) -> list[str]:
    """Where each of the shops that a row names is changed."""
    named = [decision for decision in group if decision.shop][:NAMED_SHOPS]
    return [wording.configured_at(one) if may_edit(membership, one) else "" for one in named]


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
    for kind, roles in kinds.items():
        if len(roles) <= 3:
            words += [wording.role_label(facts, role) for role in roles]
        elif kind == "shop_manager":
            words.append(
                ngettext("Gestionnaire de %(n)s boutique", "Gestionnaire de %(n)s boutiques", len(roles))
                % {"n": len(roles)}
            )
        elif kind == "rule":
            words.append(
                ngettext("Destinataire de %(n)s règle", "Destinataire de %(n)s règles", len(roles)) % {"n": len(roles)}
            )
        else:
            words.append(f"{force_str(ROLE_KINDS[kind])} × {len(roles)}")
    return words


def roles_in_short(table: AddressTable) -> list[str]:
    """The kinds of its roles in words, for a list; those of shops and rules are counted."""
    counts = Counter(role.partition(":")[0] for role in table.roles)
    return [_short_role(kind, number) for kind, number in counts.items()]


def _short_role(kind: str, number: int) -> str:
    if kind == "shop_manager":
        return ngettext("%(n)s boutique", "%(n)s boutiques", number) % {"n": number}
    if kind == "rule":
        return ngettext("%(n)s règle", "%(n)s règles", number) % {"n": number}
    return force_str(_SHORT_ROLES[kind])


def role_kinds(table: AddressTable) -> list[str]:
    """The kinds of its roles, in their order, once each."""
    return list(dict.fromkeys(role.partition(":")[0] for role in table.roles))


def places(table: AddressTable) -> list[dict[str, str]]:
    """Where the address is configured: menu path and page, once per kind of role."""
    listed = []
    for kind in role_kinds(table):
        label, route = _PLACES[kind]
        url = reverse(route)
        about = [role.partition(":")[2] for role in table.roles if role.startswith(f"{kind}:")]
        if len(about) == 1 and kind == "shop_manager":
            url = reverse("shop_configuration", args=[about[0]])
        elif len(about) == 1 and kind == "rule":
            site_id, _slash, reference = about[0].partition("/")
            url = reverse("rules", query={"shop": site_id, "rule": reference})
        listed.append({"label": force_str(label), "url": url, "kind": kind})
    return listed


# --- Search and filters ---------------------------------------------------------------------------


def folded(text: str) -> str:
    """Text as people search it: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


@dataclass(frozen=True)
class Wanted:
    """The filters of the tables; empty fields filter nothing."""

    q: str = ""
    shop: str = ""
    notification: str = ""
    role: str = ""
    state: str = ""

    def __bool__(self) -> bool:
        return bool(self.q.strip() or self.shop or self.notification or self.role or self.state)


def filtered(tables: DeliveryTables, wanted: Wanted) -> DeliveryTables:
    """The tables with the lines asked for, and the addresses that have some or match by themselves."""
    if not wanted:
        return tables
    keep = line_filter(tables.company, wanted)
    needle = folded(wanted.q.strip())
    whole = addresses.normalise(wanted.q) if wanted.q.strip() else ""
    shops = {shop.site_id for shop in tables.company.shops if _names_shop(shop.name, shop.site_id, needle)}
    kept = []
    for table in tables.addresses:
        if wanted.role and wanted.role not in role_kinds(table):
            continue
        if wanted.state and wanted.state != table.health.state:
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
            kept.append(replace(table, receives=receives, why_not=why_not))
    matches = keep(False)
    return replace(tables, addresses=kept, gaps=[gap for gap in tables.gaps if matches(gap)])


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


# --- Shops that call nothing ----------------------------------------------------------------------


@dataclass(frozen=True)
class Uncalled:
    """An active shop of which no notification URL can fail, because no rule calls one.

    Attributes:
        url: where that is mended; empty for whoever may not.
        action: what the link there says.
    """

    site_id: str
    name: str
    sentence: str
    url: str
    action: str


def uncalled(
    facts: CompanyFacts, membership: Membership, wanted: Wanted | None = None, *, limit: int = NAMED_SHOPS
) -> dict[str, Any]:
    """The shops without a call rule that is on, to be told beside the gaps: they are none, nothing is called.

    Returns:
        `uncalled`, the first of them, and `uncalled_count`, how many there are.
    """
    asked = wanted or Wanted()
    needle = folded(asked.q.strip())
    row = BY_CODE[NOTIFICATION_OF_RULE_TYPE[RuleType.IPN_CALL]]
    about = needle in folded(force_str(row.label))
    shops = [
        shop
        for shop in facts.shops
        if facts.status == shop.status == "active"
        and not any(rule.type == RuleType.IPN_CALL and rule.enabled for rule in shop.rules)
        and asked.shop in ("", shop.site_id)
        and asked.notification in ("", row.code)
        and (about or _names_shop(shop.name, shop.site_id, needle))
    ]
    return {"uncalled": [_uncalled(shop, membership) for shop in shops[:limit]], "uncalled_count": len(shops)}


def _uncalled(shop: ShopFacts, membership: Membership) -> Uncalled:
    may = access.has_on_site(membership, permissions.MANAGE_RULES, shop.site_id)
    if any(rule.type == RuleType.IPN_CALL for rule in shop.rules):
        sentence = _("Ses règles d'appel sont toutes désactivées : rien n'est appelé, donc rien ne peut échouer.")
        url, action = reverse("rules", query={"shop": shop.site_id}), _("Activer une règle d'appel")
    else:
        sentence = _("Aucune règle d'appel : rien n'est appelé, donc rien ne peut échouer.")
        url = reverse("rule_create_start", args=[shop.site_id])
        action = _("Créer une règle d'appel")
    return Uncalled(shop.site_id, shop.name, sentence, url if may else "", action)


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


def by_notification(
    facts: CompanyFacts, decisions: Iterable[Decision], wanted: Wanted, *, accounts: bool = True
) -> list[NotificationSection]:
    """Decisions grouped by catalogue row, in its order; rows that the filters leave empty are out.

    With a shop chosen, matters of the company as a whole stay: they concern that shop's merchant too.

    Args:
        accounts: whether the reader may know of accounts; else an empty section would say that nobody is told.
    """
    rows = [row for row in TABLE_ROWS if accounts or row.scope is not Scope.ACCOUNT]
    sections = {row.code: NotificationSection(row) for row in rows}
    keep = line_filter(facts, Wanted(q=wanted.q, notification=wanted.notification))
    needle = folded(wanted.q.strip())
    for decision in decisions:
        if decision.notification not in sections or (wanted.shop and decision.shop not in (None, wanted.shop)):
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
        if section.receives or section.why_not or section.gaps or _is_asked(section.row, wanted, facts)
    ]


def _is_asked(row: Notification, wanted: Wanted, facts: CompanyFacts) -> bool:
    """Whether the section stands though no line answers: it says that nothing is sent, or called."""
    if wanted.notification not in ("", row.code):
        return False
    if not wanted.q:
        return True
    names_shop = any(_names_shop(shop.name, shop.site_id, folded(wanted.q.strip())) for shop in facts.shops)
    return row.tells_of_calls and names_shop


class TablesFilter(_Filter):
    """Search and filters of the delivery tables."""

    q = forms.CharField(max_length=254, required=False)
    shop = forms.CharField(max_length=8, required=False)
    notification = forms.ChoiceField(choices=[("", ""), *((row.code, row.label) for row in TABLE_ROWS)], required=False)
    role = forms.ChoiceField(choices=[("", ""), *ROLE_KINDS.items()], required=False)
    state = forms.ChoiceField(choices=[("", ""), *STATE_LABELS.items()], required=False)

    def wanted(self) -> Wanted:
        return Wanted(**{name: self.value(name) for name in ("q", "shop", "notification", "role", "state")})
