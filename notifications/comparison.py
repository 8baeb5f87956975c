"""What today's settings would make of a delivery of the past (DESIGN 4.14)."""

from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from . import resolver, selectors, wording
from .catalogue import BY_CODE, Scope
from .models import Delivery
from .resolver import Decision


@dataclass
class Today:
    """The answer of today's settings.

    Attributes:
        still: whether the address would still receive it; None when settings do not decide it.
        sentence: why, or what has changed.
        others: addresses that would receive it besides.
        version: today's version of the rule, None without a rule.
    """

    still: bool | None
    sentence: str
    others: list[Decision] = field(default_factory=list)
    version: int | None = None
    url: str = ""


def resolution_today(delivery: Delivery) -> Today:
    """Resolve a delivery's notification again, for the same shop, rule and account."""
    row = BY_CODE[delivery.notification]
    if not row.in_tables:
        return Today(None, _("L'adresse venait de l'opération elle-même : les réglages n'en décident pas."))
    if delivery.rule and delivery.rule.archived_at:
        return Today(False, _("La règle a été supprimée depuis : elle n'envoie plus rien."))
    facts = selectors.company_facts(
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
        return Today(best.delivers, wording.decision_reason(best), others, version, wording.configured_at(best))
    sentence = _("Cette adresse n'est plus parmi les destinataires.")
    gap = next((item for item in decisions if item.gap), None)
    if gap is not None:
        sentence = f"{sentence} {wording.decision_reason(gap)}"
    where = others[0] if others else gap
    return Today(False, sentence, others, version, wording.configured_at(where) if where else "")
