"""Reads on shops: keys, progress of the test phase, next steps, contracts. Scoped to a shop or to a membership."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from companies.models import Membership
from companies.rights import access
from notifications.core.catalogue import RuleType
from notifications.core.facts import RuleFacts
from notifications.models import NotificationRule
from notifications.readers import events_of, rules_of
from shops import checklist
from shops.models import Contract, Shop, ShopKey

END_OF_PAYMENT_RULE = "ipn-end"
# Sixteen payments fill the table; this many are read before giving up on a shop that plays others.
PAYMENTS_READ = 1000


# --- Keys -----------------------------------------------------------------------------------------


def keys_of(shop: Shop) -> dict[str, ShopKey]:
    """Return the keys of a shop by kind; their values are decrypted when they are read."""
    return {key.kind: key for key in ShopKey.objects.filter(shop=shop)}


@dataclass(frozen=True)
class Row:
    """One scenario with its cells in the order of the columns; a cell is None or the time of the payment."""

    label: Promise
    cells: Sequence[tuple[str, datetime | None]]
    done: bool


@dataclass(frozen=True)
class Progress:
    """How far the tests before the production key are."""

    rows: Sequence[Row]
    played: int
    done: bool
    # Test payments whose card type is in no column.
    unknown: int = 0
    columns: Sequence[str] = tuple(checklist.CARD_TYPES)

    @property
    def total(self) -> int:
        return len(self.rows)


def tests_progress(shop: Shop) -> Progress:
    """Return the table of the test phase, from the TEST payments of the platform.

    What the back office publishes itself does not count: it proves nothing about the merchant's site.
    """
    told = (
        events_of(shop)
        .filter(mode="TEST", external=True, type__in=(checklist.ACCEPTED, checklist.REFUSED))
        .values_list("type", "data", "event_id", "occurred_at")[:PAYMENTS_READ]
    )
    payments = [
        checklist.Payment(kind, checklist.card_type(data), str(data.get("transaction_id") or event_id), at)
        for kind, data, event_id, at in told
    ]
    cells = checklist.progress(payments)
    left = {scenario.code for scenario in checklist.missing(cells)}
    rows = [
        Row(
            scenario.label,
            [
                (card, cells[scenario.code, card].at if (scenario.code, card) in cells else None)
                for card in checklist.CARD_TYPES
            ],
            scenario.code not in left,
        )
        for scenario in checklist.SCENARIOS
    ]
    return Progress(
        rows=rows,
        played=len(rows) - len(left),
        done=not left,
        unknown=sum(payment.card is None for payment in payments),
    )


def tests_are_done(shop: Shop) -> bool:
    """Whether the production key may be generated: declared done, or proved by test payments."""
    return shop.tests_done_at is not None or tests_progress(shop).done


# --- Next steps -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One thing to do before a shop takes real payments; `url` leads to where it is done."""

    label: str
    done: bool
    url: str
    hint: str = ""


def next_steps(
    shop: Shop,
    *,
    manager_email: str,
    may_manage_keys: bool,
    rules: Sequence[NotificationRule | RuleFacts] | None = None,
) -> list[Step]:
    """What is left to do before the shop takes real payments; empty once everything is done.

    Args:
        manager_email: the address in force, own or inherited.
        may_manage_keys: whether links to the keys page help the reader.
        rules: those of the shop, when the caller has read them.
    """
    own: Sequence[NotificationRule | RuleFacts] = list(rules_of(shop)) if rules is None else rules
    keys = keys_of(shop)
    calls = [rule for rule in own if rule.type == RuleType.IPN_CALL]
    in_production = ShopKey.Kind.PRODUCTION in keys
    test_key = keys.get(ShopKey.Kind.TEST)
    keys_url = reverse("shop_keys", args=[shop.site_id]) if may_manage_keys else ""
    inherited = "" if shop.manager_email else _("hérité du Contact gestionnaire")
    steps = [
        Step(
            _("E-mail gestionnaire"),
            bool(manager_email),
            "#id_manager_email",
            " : ".join(filter(None, [inherited, manager_email])),
        ),
        Step(
            _("Contrat (MID) associé à la boutique"),
            shop.contracts.exists(),
            reverse("shop_contracts", args=[shop.site_id]),
        ),
        Step(
            _("URL de notification à la fin du paiement"),
            *_notification_url(shop, calls),
        ),
        Step(
            _("Clé de test reportée dans votre site"),
            in_production or bool(test_key and test_key.shown_at),
            keys_url,
        ),
        Step(_("Phase de test"), in_production or tests_are_done(shop), keys_url),
        Step(_("Clé de production"), in_production, keys_url),
    ]
    return [] if all(step.done for step in steps) else steps


def _notification_url(shop: Shop, calls: Sequence[NotificationRule | RuleFacts]) -> tuple[bool, str]:
    """Whether a URL to call is set, and where; without the rule of the end of a payment, in any rule that calls."""
    listed = f"{reverse('rules')}?shop={shop.site_id}"
    end_rule = next((rule for rule in calls if rule.reference == END_OF_PAYMENT_RULE), None)
    if end_rule is not None:
        return end_rule.has_url, f"{listed}&rule={end_rule.reference}"
    return any(rule.has_url for rule in calls), listed if calls else reverse("rule_create_start", args=[shop.site_id])


# --- Contracts ------------------------------------------------------------------------------------


def contracts_in(shop: Shop) -> QuerySet[Contract]:
    """The contracts of one shop."""
    return Contract.objects.filter(shop=shop).select_related("shop__company")


def contracts_of(membership: Membership) -> QuerySet[Contract]:
    """The contracts of every shop that a membership covers."""
    shops = access.shops_of(membership).order_by()
    return Contract.objects.filter(shop__in=shops).select_related("shop__company")


def contracts_filtered(
    contracts: QuerySet[Contract], *, q: str = "", network: str = "", secure: str = ""
) -> QuerySet[Contract]:
    """Narrow by text (number, shop), network and enrolment (`yes` or `no`); empty arguments do not filter."""
    if q:
        contracts = contracts.filter(Q(number__icontains=q) | Q(shop__name__icontains=q) | Q(shop__site_id__contains=q))
    if network:
        contracts = contracts.filter(network=network)
    if secure in ("yes", "no"):
        contracts = contracts.filter(three_d_secure=secure == "yes")
    return contracts


def contract_use(contract: Contract) -> str:
    """Why a contract must stay, in a sentence; empty when nothing uses it."""
    if contract.three_d_secure:
        return _("Le 3D Secure y est activé : seule votre banque ou le support peut le retirer.")
    if events_of(contract.shop).filter(data__contract=contract.number).exists():
        return _("Des paiements ont été faits avec ce contrat.")
    for rule in rules_of(contract.shop):
        for condition in rule.conditions:
            value = condition["value"]
            named = value if isinstance(value, list) else [value]
            if condition["variable"] == "contract" and contract.number in named:
                return _("La règle de notification « %(rule)s » le nomme dans ses conditions.") % {
                    "rule": rule.display_label
                }
    return ""
