"""What the search of the top bar finds of rules and of the URLs that they call."""

from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from backoffice.base.searching import SHOWN, Group, Hit, few, group, joined, list_url
from companies.models import Membership
from notifications import readers
from notifications.core import wording
from notifications.core.catalogue import RuleType
from notifications.models import NotificationRule
from notifications.tables.screens import folded

_MODES = {"url_test": "TEST", "rest_url_test": "TEST", "url_production": "", "rest_url_production": ""}
_CALLING = reduce(or_, (~Q(**{name: ""}) for name in NotificationRule.URL_FIELDS))


def rules(membership: Membership, text: str) -> list[Group]:
    """Rules by label, in the reader's language too, or reference; URLs by a part of them."""
    needle = folded(text)
    # Those that every shop is given are stored in French.
    given = [label for label in wording.default_labels() if needle in folded(wording.rule_label(label))]
    listed = readers.rules_for(membership)
    named = listed.filter(Q(label__icontains=text) | Q(reference__icontains=text) | Q(label__in=given))
    return [
        *group("rules", _("Règles"), [_rule(rule, text) for rule in few(named)], list_url("all_rules", q=text)),
        *_urls(listed, text),
    ]


def _rule(rule: NotificationRule, text: str) -> Hit:
    return Hit(
        rule.display_label,
        reverse("rule", args=[rule.shop.site_id, rule.reference]),
        joined(rule.shop.name, "" if rule.enabled else _("Désactivée"), rule.reference),
        is_exact=rule.reference == text,
    )


def _urls(listed: QuerySet[NotificationRule], text: str) -> list[Group]:
    saying = reduce(or_, (Q(**{f"{name}__icontains": text}) for name in NotificationRule.URL_FIELDS))
    called: dict[str, Hit] = {}
    for rule in few(listed.filter(_CALLING, saying)):
        page = reverse("rule", args=[rule.shop.site_id, rule.reference])
        for name, mode in _MODES.items():
            url = getattr(rule, name)
            if text.casefold() in url.casefold() and f"{url}{rule.pk}" not in called:
                told = joined(rule.display_label, rule.shop.name)
                called[f"{url}{rule.pk}"] = Hit(url, page, told, is_test=bool(mode), is_exact=url == text)
    every = list_url("all_rules", q=text, type=RuleType.IPN_CALL)
    return group("urls", _("URL de notification"), list(called.values())[: SHOWN + 1], every)
