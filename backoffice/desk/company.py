"""A company at a glance, for the top of its page: who and what it has, how its sending stands, with links to lists.

The same number of statements for every company; none of them counts more than `endless.CEILING` rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from backoffice.base import endless
from backoffice.desk.search import list_of, may_view, page_of
from backoffice.text import times
from companies.accounts.view_as import may_view_as
from companies.models import AuditEntry, Company, Membership, SftpAccount, Status, User
from companies.staff.endless import between
from notifications import settings_facts
from notifications.answers.coverage_screens import verdict
from notifications.answers.selectors import coverage_of
from notifications.core import coverage, coverage_wording, wording
from notifications.core.address_health import AddressState
from notifications.journal.lookup import failure_words
from notifications.models import AddressHealth, ApiToken, CallHealth, Delivery, Event, NotificationRule
from notifications.outbox import backlog, holds
from shops.models import BillingDocument, PaymentOrder, Shop

ACCOUNTS_SHOWN, TROUBLES_SHOWN, FIXES_SHOWN = 8, 5, 3
# Beyond so many shops the coverage is computed when it is asked for.
MANY_SHOPS = 100
MONTH = "30"
NEWEST_FIRST = ("-created_at", "-pk")


@dataclass(frozen=True)
class Counted:
    """A number with the list behind it.

    Attributes:
        text: the number in words of the page: « plus de 10 000 » beyond what is counted.
        is_bad: whether it calls for somebody.
    """

    label: str
    text: str
    url: str = ""
    is_bad: bool = False


@dataclass(frozen=True)
class Account:
    """A user of the company; `view_as` is empty for who may not see as they do."""

    login: str
    about: str
    state: str
    url: str
    view_as: str


@dataclass(frozen=True)
class Trouble:
    """Something that went wrong lately."""

    when: str
    what: str
    url: str = ""


@dataclass(frozen=True)
class Covered:
    """How well the company is covered, and what would mend most."""

    score: int
    sentence: str
    fixes: Sequence[str]


def at_a_glance(request: HttpRequest, company: Company) -> dict[str, Any]:
    """What the page of a company begins with, as far as the reader may look at each part."""
    return {
        "sending": _sending(request, company),
        "sending_figures": _sending_figures(request, company),
        "figures": _figures(request, company),
        "accounts": _accounts(request, company),
        "accounts_url": list_of(User, company__id__exact=company.pk),
        "health": _health(request, company),
        "covered": _covered(request, company),
        "coverage_url": f"{page_of(Company, 'change', company.pk)}?coverage=1",
        "troubles": _troubles(request, company),
    }


def _text(rows: QuerySet[Any]) -> tuple[int, str]:
    counted = rows.order_by()[: endless.CEILING + 1].count()
    if counted > endless.CEILING:
        return counted, _("plus de %(n)d") % {"n": endless.CEILING}
    return counted, str(counted)


def _figure(label: str, rows: QuerySet[Any], url: str, *, bad: bool = False) -> Counted:
    count, text = _text(rows)
    return Counted(label, text, url, is_bad=bad and count > 0)


# --- Sending --------------------------------------------------------------------------------------


def _sending(request: HttpRequest, company: Company) -> list[str]:
    """Whether anything of the company is kept back, in sentences; empty where nothing is."""
    if not may_view(request, Delivery):
        return []
    told = []
    if company.status != Status.ACTIVE:
        state = company.get_status_display()
        told.append(
            _("Société %(state)s : seuls partent ses messages de compte et de sécurité.") % {"state": state.lower()}
        )
    for hold in holds.of_company(company).select_related("company"):
        since, reason = times.exact(hold.created_at), hold.reason or "–"
        text = _("En pause depuis le %(since)s : %(what)s (%(reason)s).")
        told.append(text % {"since": since, "what": hold, "reason": reason})
    return told  # fmt: skip


def _sending_figures(request: HttpRequest, company: Company) -> list[Counted]:
    if not may_view(request, Delivery):
        return []
    rows = Delivery.objects.filter(company=company)
    month = rows.filter(between("created_at", MONTH))
    of = {"company__id__exact": company.pk}
    return [
        _figure(_("en 30 jours"), month, list_of(Delivery, **of, period=MONTH)),
        _figure(
            _("pas encore terminés"),
            rows.filter(backlog.condition(backlog.OPEN)),
            list_of(Delivery, **of, backlog=backlog.OPEN),
        ),
        _figure(
            _("en retard"),
            rows.filter(backlog.condition(backlog.LATE)),
            list_of(Delivery, **of, backlog=backlog.LATE),
            bad=True,
        ),
        _figure(
            _("abandonnés en 30 jours"),
            month.filter(status=Delivery.Status.DEAD),
            list_of(Delivery, **of, period=MONTH, status__exact="dead"),
            bad=True,
        ),
    ]


# --- What it has ----------------------------------------------------------------------------------


def _figures(request: HttpRequest, company: Company) -> list[Counted]:
    of = {"company__id__exact": company.pk}
    parts: Iterable[tuple[type[Model], str, QuerySet[Any], dict[str, str | int]]] = (
        (Shop, _("boutiques"), Shop.objects.filter(company=company), {}),
        (
            NotificationRule,
            _("règles en service"),
            NotificationRule.objects.filter(shop__company=company, archived_at__isnull=True),
            {},
        ),
        (Event, _("événements en 30 jours"), _newest(Event, company, "accepted_at"), {"period": MONTH}),
        (PaymentOrder, _("ordres de paiement"), PaymentOrder.objects.filter(shop__company=company), {}),
        (BillingDocument, _("factures et avoirs"), BillingDocument.objects.filter(company=company), {}),
        (SftpAccount, _("comptes SFTP"), SftpAccount.objects.filter(company=company), {}),
        (ApiToken, _("jetons d'API"), ApiToken.objects.filter(company=company), {}),
        (AuditEntry, _("modifications en 30 jours"), _newest(AuditEntry, company, "at"), {"period": MONTH}),
    )
    return [
        _figure(label, rows, list_of(model, **of, **more)) for model, label, rows, more in parts if may_view(request, model)
    ]  # fmt: skip


def _newest(model: Any, company: Company, column: str) -> QuerySet[Any]:
    rows: QuerySet[Any] = model.objects.filter(between(column, MONTH), company=company)
    return rows


def _accounts(request: HttpRequest, company: Company) -> list[Account]:
    """Its users with their state, last log-in first; the list has the others."""
    if not may_view(request, User):
        return []
    members = Membership.objects.filter(company=company, user__is_staff=False).select_related("user")
    newest = members.order_by("-user__is_active", "-user__last_login", "user__login")
    return [_account(request, member) for member in newest[: ACCOUNTS_SHOWN + 1]]


def _account(request: HttpRequest, member: Membership) -> Account:
    user = member.user
    seen = times.exact(user.last_login) if user.last_login else _("jamais connecté")
    return Account(
        login=user.login,
        about=" · ".join([user.get_full_name(), user.email, str(member.get_role_display()), seen]),
        state=str(User.State(user.state).label),
        url=page_of(User, "change", user.pk),
        view_as=reverse("admin:companies_user_view_as", args=[user.pk])
        if may_view_as(request.user, user, is_member=True)
        else "",
    )


def _health(request: HttpRequest, company: Company) -> list[Counted]:
    """How many of its addresses are in each state that is known."""
    if not may_view(request, AddressHealth):
        return []
    rows = AddressHealth.objects.filter(company=company).order_by().values_list("state").annotate(Count("pk"))
    counts = dict(rows)
    bad = (AddressState.SUPPRESSED, AddressState.BOUNCING)
    labels = dict(AddressHealth._meta.get_field("state").flatchoices)
    return [
        Counted(
            str(labels[state]),
            str(counts[state]),
            list_of(AddressHealth, company__id__exact=company.pk, state__exact=state),
            is_bad=state in bad,
        )
        for state in (AddressState.SUPPRESSED, AddressState.BOUNCING, AddressState.VERIFIED, AddressState.UNVERIFIED)
        if counts.get(state)
    ]


# --- Coverage and troubles ------------------------------------------------------------------------


def _covered(request: HttpRequest, company: Company) -> Covered | None:
    """The coverage; None where computing it takes long and was not asked for."""
    if "coverage" not in request.GET and Shop.objects.filter(company=company)[: MANY_SHOPS + 1].count() > MANY_SHOPS:
        return None
    covered = coverage_of(company, settings_facts.company_facts(company))
    fixes = [
        f"{wording.notification_label(fix.notification)} : {coverage_wording.advice(fix)}"
        for fix in coverage.fixes(covered)[:FIXES_SHOWN]
    ]
    return Covered(covered.score, verdict(covered), fixes)


def _troubles(request: HttpRequest, company: Company) -> list[Trouble]:
    """URLs that fail now, then what was given up last."""
    if not may_view(request, Delivery):
        return []
    failing = CallHealth.objects.filter(rule__shop__company=company, rule__enabled=True, failing_since__isnull=False)
    told = [
        Trouble(
            times.exact(one.failing_since),
            _("Appels en échec (%(mode)s) : %(rule)s, %(shop)s")
            % {"mode": one.mode, "rule": one.rule.display_label, "shop": one.rule.shop},
            page_of(NotificationRule, "change", one.rule_id),
        )
        for one in failing.select_related("rule__shop").order_by("failing_since", "pk")[:TROUBLES_SHOWN]
        if one.failing_since
    ]
    dead = Delivery.objects.filter(company=company, status=Delivery.Status.DEAD).order_by(*NEWEST_FIRST)
    told += [
        Trouble(
            times.exact(row.created_at),
            f"{row} : {failure_words(row) or row.get_status_display()}",
            page_of(Delivery, "change", row.pk),
        )
        for row in dead[:TROUBLES_SHOWN]
    ]
    return told
