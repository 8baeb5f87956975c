"""What has to be repaired, the most harmful first, each with a link to the page where it is done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.text.addresses import normalise
from companies.models import Membership
from companies.rights import access, permissions
from notifications.answers import coverage_screens
from notifications.answers.remarks import RemarkRow
from notifications.answers.rights import may_change, needed_permission
from notifications.core import coverage_wording, health_wording, resolver, wording
from notifications.core.address_health import AddressState
from notifications.core.catalogue import BY_CODE, Channel, Scope
from notifications.core.coverage import Cell, Coverage
from notifications.core.facts import CompanyFacts
from notifications.tables.changing import may_replace
from notifications.tables.screens import uncalled


@dataclass(frozen=True)
class FailingUrl:
    """A notification URL whose every automatic call has failed since a moment."""

    label: str
    site_id: str
    shop: str
    mode: str
    since: datetime
    url: str


@dataclass(frozen=True)
class Findings:
    """Errors of the newest consistency report, and when it was made."""

    errors: int
    checked_at: datetime


@dataclass(frozen=True)
class Fix:
    """One thing to do about it: a link, or a button that acts at once."""

    label: str
    url: str
    is_post: bool = False


@dataclass(frozen=True)
class Repair:
    """One thing that is wrong.

    Attributes:
        kind: `fail` where something is lost now, `warn` where it may be.
        label: the short word of its badge.
        title: what it is about, with the address of its proof.
        count: how many rows the proof has, where the title says a number.
        address, failure: where it is about an address: itself, and its last failure.
        moment: since when, or when it was told.
        fixes: the one people use most first.
    """

    kind: str
    label: str
    title: str
    url: str
    detail: str = ""
    count: int | None = None
    address: str = ""
    failure: Any = None
    mode: str = ""
    moment: datetime | None = None
    fixes: Sequence[Fix] = ()


# --- Notifications that reach nobody --------------------------------------------------------------


def of_gaps(covered: Coverage, facts: CompanyFacts, membership: Membership, *, critical: bool) -> list[Repair]:
    """The gaps that nobody accepted, those of one notification together."""
    names = {shop.site_id: shop.name for shop in facts.shops}
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in open_gaps(covered):
        if cell.is_critical is critical:
            groups.setdefault((cell.notification, cell.state), []).append(cell)
    return [_of_gap(cells, names, membership) for cells in groups.values()]


def open_gaps(covered: Coverage) -> list[Cell]:
    """The cells that reach nobody, and that nobody accepted."""
    return [cell for cell in covered.cells if cell.is_gap and cell.acknowledged is None]


def _of_gap(cells: Sequence[Cell], names: Mapping[str, str], membership: Membership) -> Repair:
    first = cells[0]
    detail = _("%(where)s : %(state)s.") % {
        "where": coverage_screens.where(cells, dict(names)),
        "state": coverage_wording.state_words(first.state),
    }
    return Repair(
        "fail" if first.is_critical else "warn",
        _("N'atteint personne"),
        wording.notification_label(first.notification),
        f"{reverse('coverage')}#gaps" if len(cells) > 1 else coverage_screens.cell_url(first),
        detail,
        fixes=_fixes_of_gap(cells, membership),
    )


def _fixes_of_gap(cells: Sequence[Cell], membership: Membership) -> list[Fix]:
    first = cells[0]
    permission = needed_permission(first.notification, BY_CODE[first.notification].to)
    fixes = []
    if len(cells) > 1:
        fixes.append(Fix(_("Corriger boutique par boutique"), f"{reverse('coverage')}#gaps"))
    elif may_change(membership, permission, first.shop):
        is_rule = BY_CODE[first.notification].scope is Scope.RULE
        label = _("Ajouter un destinataire") if is_rule else _("Renseigner une adresse")
        fixes.append(Fix(label, coverage_screens.place_of(first)))
    if len(cells) == 1 and access.can(membership, permissions.MANAGE_COMPANY):
        fixes.append(Fix(_("Accepter ce manque…"), coverage_screens.accept_url(first)))
    return fixes


# --- Sendings that fail ---------------------------------------------------------------------------


def of_addresses(
    failing: Iterable[Mapping[str, Any]], facts: CompanyFacts, membership: Membership, since: date
) -> list[Repair]:
    """The addresses that mail does not reach: to be replaced, or its mails sent again."""
    roles = resolver.roles(facts)
    may_resend = access.can_somewhere(membership, permissions.RESEND)
    repairs = []
    for item in failing:
        _spelling, names = roles.get(normalise(item["address"]), ("", []))
        may = may_replace(names, facts, membership)
        repairs.append(_of_address(item, since, is_known=bool(names), may_replace=may, may_resend=may_resend))
    return repairs


def of_suppressed(facts: CompanyFacts, membership: Membership) -> list[Repair]:
    """The addresses that nothing is sent to any more: to be replaced, or reactivated on their page."""
    roles = resolver.roles(facts)
    repairs = []
    for known in resolver.in_state(facts, AddressState.SUPPRESSED):
        asked = urlencode({"address": known.email})
        page = f"{reverse('addresses')}?{asked}"
        may_verify = access.can(membership, permissions.MANAGE_COMPANY)
        fixes = [Fix(_("Réactiver ou vérifier") if may_verify else _("Voir l'adresse"), page)]
        if may_replace(roles[normalise(known.email)][1], facts, membership):
            fixes.insert(0, Fix(_("Remplacer ou retirer"), f"{reverse('address_replace')}?{asked}"))
        repairs.append(
            Repair(
                "fail",
                health_wording.state_label(known.health.state),
                known.email,
                page,
                health_wording.state_reason(known.health) or "",
                address=known.email,
                moment=known.health.since,
                fixes=fixes,
            )
        )
    return repairs


def _of_address(item: Mapping[str, Any], since: date, *, is_known: bool, may_replace: bool, may_resend: bool) -> Repair:
    address, lost = item["address"], item["only_failures"]
    rows = f"{reverse('journal')}?{urlencode({'status': 'troubled', 'address': address, 'since': since.isoformat()})}"
    detail = ngettext("%(n)d échec en 7 jours", "%(n)d échecs en 7 jours", item["count"]) % {"n": item["count"]}
    fixes = []
    if item["last"].channel == Channel.EMAIL and is_known:
        page = "address_replace" if may_replace else "addresses"
        label = _("Remplacer ou retirer") if may_replace else _("Voir l'adresse")
        fixes.append(Fix(label, f"{reverse(page)}?{urlencode({'address': address})}"))
    fixes.append(Fix(_("Corriger et renvoyer") if may_resend else _("Voir les envois"), rows))
    return Repair(
        "fail" if lost else "warn",
        _("Rien ne lui parvient") if lost else _("Échecs"),
        address,
        rows,
        detail,
        count=item["count"],
        address=address,
        failure=item["last"],
        moment=item["last_at"],
        fixes=fixes,
    )


def of_urls(failing: Iterable[FailingUrl], membership: Membership) -> list[Repair]:
    """The notification URLs that no call reaches."""
    return [
        Repair(
            "fail",
            _("Appels en échec"),
            item.label,
            item.url,
            _("%(shop)s : aucun appel n'aboutit depuis") % {"shop": item.shop},
            mode=item.mode,
            moment=item.since,
            fixes=[
                Fix(_("Corriger l'URL et l'essayer") if _may_mend(item, membership) else _("Voir la règle"), item.url)
            ],
        )
        for item in failing
    ]


def _may_mend(item: FailingUrl, membership: Membership) -> bool:
    return access.has_on_site(membership, permissions.MANAGE_RULES, item.site_id)


def of_orders(unsent: int, membership: Membership) -> list[Repair]:
    """The payment orders that did not reach their buyer."""
    if not unsent:
        return []
    rows = f"{reverse('payment_orders')}?mode=PRODUCTION&status=in_progress&sending=failed"
    told = ngettext(
        "%(n)d ordre de paiement n'a pas atteint son acheteur",
        "%(n)d ordres de paiement n'ont pas atteint leur acheteur",
        unsent,
    )
    title = told % {"n": unsent}
    may = access.can_somewhere(membership, permissions.MANAGE_PAYMENT_ORDERS)
    fix = Fix(_("Corriger et renvoyer") if may else _("Voir les ordres"), rows)
    return [Repair("fail", _("Non reçu"), title, rows, count=unsent, fixes=[fix])]


# --- Settings -------------------------------------------------------------------------------------


def of_errors(report: Findings | None) -> list[Repair]:
    """What the consistency report holds against the settings."""
    if report is None:
        return []
    errors, checked_at = report.errors, report.checked_at
    rows = f"{reverse('consistency_report')}?severity=error"
    told = ngettext("%(n)d erreur dans vos réglages", "%(n)d erreurs dans vos réglages", errors)
    return [
        Repair(
            "warn",
            _("Réglages"),
            told % {"n": errors},
            rows,
            _("Rapport de consistance"),
            count=errors,
            moment=checked_at,
            fixes=[Fix(_("Voir et corriger"), rows)],
        )
    ]


def of_remarks(remarks: Sequence[RemarkRow], membership: Membership) -> list[Repair]:
    """People who said that a message should not reach them."""
    may_close = access.can(membership, permissions.MANAGE_COMPANY)
    return [_of_remark(remark, may_close=may_close) for remark in remarks]


def _of_remark(remark: RemarkRow, *, may_close: bool) -> Repair:
    fixes = []
    if remark.url:
        query = urlencode(
            {"address": remark.address, "what": "remove", **({"place": remark.place} if remark.place else {})}
        )
        fixes.append(Fix(_("Retirer l'adresse"), f"{reverse('address_replace')}?{query}"))
    if may_close:
        fixes.append(Fix(_("Traitée"), reverse("remark_close", args=[remark.key]), is_post=True))
    about = " · ".join(filter(None, (remark.label, remark.rule, remark.shop)))
    return Repair(
        "warn",
        _("Destinataire à tort ?"),
        remark.address,
        f"{reverse('coverage')}#remarks",
        _("dit ne pas devoir recevoir : %(about)s") % {"about": about},
        address=remark.address,
        moment=remark.at,
        fixes=fixes,
    )


def of_silent_shops(facts: CompanyFacts, membership: Membership) -> list[Repair]:
    """The shops whose events call no URL: one by one where they are few."""
    told = uncalled(facts, membership, limit=2)
    total = told["uncalled_count"]
    if total > 2:
        title = ngettext(
            "%(n)d boutique n'appelle aucune URL de notification",
            "%(n)d boutiques n'appellent aucune URL de notification",
            total,
        )
        rows = f"{reverse('addresses')}#uncalled"
        return [Repair("warn", _("Aucun appel"), title % {"n": total}, rows, count=total, fixes=[Fix(_("Voir"), rows)])]
    return [
        Repair(
            "warn",
            _("Aucun appel"),
            _("%(shop)s n'appelle aucune URL de notification") % {"shop": item.name},
            f"{reverse('rules')}?shop={item.site_id}",
            item.sentence,
            fixes=[Fix(item.action, item.url)] if item.url else [],
        )
        for item in told["uncalled"]
    ]
