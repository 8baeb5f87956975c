"""What today's settings would decide about a past delivery (docs/rules.md 4.14), beside what was decided then."""

from dataclasses import dataclass, field

from django.utils.encoding import force_str
from django.utils.translation import gettext as _

from notifications import settings_facts
from notifications.core import resolver, wording
from notifications.core.catalogue import BY_CODE, Scope
from notifications.core.resolver import Decision
from notifications.models import Delivery


@dataclass
class Today:
    """The answer of today's settings.

    Attributes:
        still: whether the address would still receive it; None when settings do not decide it.
        sentence: why, or what has changed.
        others: addresses that would receive it besides.
        version: today's version of the rule, None without a rule.
        decision: what the sentence is about, None where the address is no candidate any more.
    """

    still: bool | None
    sentence: str
    others: list[Decision] = field(default_factory=list)
    version: int | None = None
    url: str = ""
    decision: Decision | None = None


@dataclass(frozen=True)
class Compared:
    """One thing that a delivery was sent under, and what it is today."""

    label: str
    then: str
    now: str

    @property
    def differs(self) -> bool:
        return self.then != self.now


def then_and_now(delivery: Delivery, today: Today) -> list[Compared]:
    """The resolution of a delivery beside today's, point by point; empty where settings do not decide."""
    if today.still is None:
        return []
    then, now = delivery.resolution, today.decision
    rows = [
        Compared(_("Décision"), _("à prévenir"), _("à prévenir") if today.still else _("pas à prévenir")),
        Compared(_("Pourquoi"), delivery.reason, today.sentence),
        Compared(
            _("Origine de l'adresse"),
            _source_words(str(then.get("source", "")), bool(then.get("inherited"))),
            _source_words(now.source, now.inherited) if now else "",
        ),
        Compared(_("À/Cc"), _as_words(delivery.as_), _as_words(now.as_) if now else ""),
    ]
    if delivery.rule:
        then_version = then.get("rule_version")
        rows.append(
            Compared(_("Règle"), _version_words(then_version), _version_words(today.version)),
        )
    return [row for row in rows if row.then or row.now]


def _source_words(source: str, inherited: bool) -> str:
    label = wording.source_label(source)
    return f"{label} {_('(héritée du Contact gestionnaire)')}" if inherited else label


def _as_words(as_: str) -> str:
    return force_str(Delivery.As(as_).label) if as_ in Delivery.As.values else ""


def _version_words(version: int | None) -> str:
    return "" if version is None else _("version %(n)s") % {"n": version}


def resolution_today(delivery: Delivery) -> Today:
    """Resolve a delivery's notification again, for the same shop, rule and account."""
    row = BY_CODE[delivery.notification]
    if not row.in_tables:
        return Today(None, _("L'adresse venait de l'opération elle-même : les réglages n'en décident pas."))
    if delivery.rule and delivery.rule.archived_at:
        return Today(False, _("La règle a été supprimée depuis : elle n'envoie plus rien."))
    facts = settings_facts.company_facts(
        delivery.company, shops=[delivery.shop] if delivery.shop else [], accounts=row.scope is Scope.ACCOUNT
    )
    shop = facts.shops[0] if facts.shops else None
    rule = None
    if delivery.rule and shop:
        rule = next((item for item in shop.rules if item.reference == delivery.rule.reference), None)
    accounts = facts.users if delivery.notification == "user_account" else facts.sftp_accounts
    account = next((item for item in accounts if item.login == delivery.account), None)
    if row.scope is Scope.RULE and rule is None:
        return Today(False, _("La règle a été supprimée depuis : elle n'envoie plus rien."))
    if row.scope is Scope.ACCOUNT and account is None:
        return Today(False, _("Le compte n'existe plus sous cet identifiant."))
    decisions = resolver.resolve(facts, row.code, shop=shop, rule=rule, account=account)
    version = rule.version if rule else None
    mine = [item for item in decisions if item.address and item.normalised == delivery.normalised_address]
    others = [item for item in decisions if item.delivers and item.normalised != delivery.normalised_address]
    best = next((item for item in mine if item.delivers), mine[0] if mine else None)
    if best is not None:
        reason = wording.decision_reason(best)
        return Today(best.delivers, reason, others, version, wording.configured_at(best), best)
    sentence = _("Cette adresse n'est plus parmi les destinataires.")
    gap = next((item for item in decisions if item.gap), None)
    if gap is not None:
        sentence = f"{sentence} {wording.decision_reason(gap)}"
    where = others[0] if others else gap
    return Today(False, sentence, others, version, wording.configured_at(where) if where else "")
