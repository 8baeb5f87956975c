"""Facts of many shops at once: columns are read instead of objects, and equal facts are one object.

Most rules of a large company are the documented default ones, so that thousands of shops share the few facts that tell
them apart from nothing.
"""

import json
from sys import intern
from typing import Any

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from backoffice.text import times
from companies.models import Company
from notifications import readers
from notifications.core.catalogue import SHOP_MANAGER_SYMBOL, RuleType
from notifications.core.facts import RuleFacts, ShopFacts
from notifications.models import NotificationRule
from notifications.models.rules import conditions_of
from shops.models import Shop

NAMED_SHOPS = 100

# JSON is read as text, which is the same wherever the value is the same, and taken apart once.
_JSON = {f"{name}_text": Cast(name, TextField()) for name in ("triggers", "conditions", "recipients")}
_RULE = (
    "shop_id", "reference", "type", "label", "enabled", *_JSON, "version", "digest",
    "url_test", "url_production", "rest_url_test", "rest_url_production", "emptied_by", "emptied_at",
)  # fmt: skip


def shops_with_rules(company: Company, shops: QuerySet[Shop] | None, *, why_not: bool = True) -> tuple[ShopFacts, ...]:
    """The facts of these shops, or of all, by identifier, with their live rules by reference; two queries, or three.

    Args:
        why_not: without it, rules are left out that reach nobody, name no address and leave no gap: most of them.
    """
    live = readers.live_rules(company, None).order_by()
    if shops is None:
        shops = Shop.objects.filter(company=company)
    else:
        live = live.filter(shop__in=shops.order_by().values("pk"))
    rows = list(shops.order_by("site_id").values_list("pk", "site_id", "name", "language", "manager_email", "status"))
    of_shop = _rules(live) if why_not else _counting_rules(live, [row[0] for row in rows])
    return tuple(
        ShopFacts(site_id, name, intern(language), own or None, intern(status), tuple(of_shop.get(pk, ())))
        for pk, site_id, name, language, own, status in rows
    )


def _counting_rules(live: QuerySet[NotificationRule], shops: list[int]) -> dict[int, list[RuleFacts]]:
    """Shop → the facts of the rules on which a line, a role, a gap or the calls of the shop depend.

    A rule that is off and has the default recipients is on nobody's table. One that calls is read, though, in a shop
    that calls nothing: it is what that shop can switch on.
    """
    by_default = Q(recipients=[SHOP_MANAGER_SYMBOL]) | Q(recipients=[])
    of_shop = _rules(live.exclude(type=RuleType.BUYER_EMAIL).filter(Q(enabled=True) | ~by_default))
    silent = [pk for pk in shops if not any(map(_calls, of_shop.get(pk, ())))]
    if silent:
        off = live.filter(by_default, type=RuleType.IPN_CALL, enabled=False)
        # A long list of shops is not named in the query, SQLite bounds its parameters.
        more = _rules(off.filter(shop__in=silent) if len(silent) <= NAMED_SHOPS else off)
        for pk in set(silent) & more.keys():
            of_shop[pk] = sorted([*of_shop.get(pk, ()), *more[pk]], key=lambda rule: rule.reference)
    return of_shop


def _calls(rule: RuleFacts) -> bool:
    return rule.enabled and rule.type == RuleType.IPN_CALL


def _rules(rules: QuerySet[NotificationRule]) -> dict[int, list[RuleFacts]]:
    """Shop → the facts of its rules."""
    alike: dict[tuple[Any, ...], RuleFacts] = {}
    of_shop: dict[int, list[RuleFacts]] = {}
    for row in rules.annotate(**_JSON).values_list(*_RULE).iterator(chunk_size=5000):
        key = row[1:]
        facts = alike.get(key)
        if facts is None:
            facts = alike[key] = _rule(*key)
        of_shop.setdefault(row[0], []).append(facts)
    for listed in of_shop.values():
        listed.sort(key=lambda rule: rule.reference)
    return of_shop


def _rule(*columns: Any) -> RuleFacts:
    """The facts of one row; `settings_facts.rule_facts` makes the same of an object."""
    values = dict(zip(_RULE[1:], columns, strict=True))
    return RuleFacts(
        reference=values["reference"],
        type=values["type"],
        label=values["label"],
        enabled=values["enabled"],
        triggers=tuple(json.loads(values["triggers_text"])),
        conditions=conditions_of(json.loads(values["conditions_text"])),
        recipients=tuple(json.loads(values["recipients_text"])),
        version=values["version"],
        digest=values["digest"],
        form_urls=(values["url_test"], values["url_production"]),
        rest_urls=(values["rest_url_test"], values["rest_url_production"]),
        emptied_by=values["emptied_by"],
        emptied_on=times.short_moment(values["emptied_at"]) if values["emptied_at"] else "",
    )
