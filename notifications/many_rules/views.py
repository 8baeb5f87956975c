"""« Copier vers d'autres boutiques », and « Ajouter ou retirer une adresse » in many rules."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.base.forms import add_errors, only_asks, wants_part
from backoffice.base.methods import get_and_post
from companies import audit
from companies.audit import Actor, StaleVersion
from companies.history.taking_back import undo_link
from companies.models import Company
from companies.rights import permissions
from companies.rights.access import CompanyRequest, company_page, open_shops_of, shop_or_404, shops_of
from notifications import settings_facts
from notifications.core.catalogue import RuleType
from notifications.core.facts import CompanyFacts
from notifications.many_rules import services
from notifications.many_rules.forms import CopyForm, RulesAddressForm, stamp_of
from notifications.many_rules.services import CREATED, SAME, UPDATED
from notifications.models import NotificationRule
from notifications.readers import rules_for, rules_of
from notifications.rules import screens as rule_screens
from notifications.rules.forms import RulesFilter
from notifications.tables import effects
from notifications.tables.asking import submitted
from notifications.tables.effects import EffectPanel
from shops.models import Shop

# Rules of one page; more are narrowed by the filters.
MAX_RULES = 200


def _facts(request: CompanyRequest, shops: Sequence[Shop]) -> CompanyFacts:
    """The facts that a change of rules of these shops can touch."""
    company = Company.objects.get(pk=request.company.pk)
    return settings_facts.company_facts(company, shops=list(shops), accounts=False)


# --- A rule in other shops ------------------------------------------------------------------------


@company_page(permissions.MANAGE_RULES)
@get_and_post
def rule_copy(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """Choose shops, see what changes in each and for whom, save once."""
    shop = shop_or_404(request, site_id, permissions.MANAGE_RULES)
    rule = rules_of(shop).filter(reference=reference).first()
    if rule is None:
        raise Http404
    rule.shop = shop
    shops = list(open_shops_of(request.membership, permissions.MANAGE_RULES).exclude(pk=shop.pk))
    for other in shops:
        other.company = request.company
    form = CopyForm(request.POST or None, rule=rule, shops=shops)
    effect, question, planned = effects.EMPTY, None, []
    if request.method == "POST":
        valid = form.is_valid()
        if valid:
            planned = services.copies(rule, _chosen(form, shops), with_urls=_with_urls(form))
        effect = _copy_effect(request, planned) if valid else effects.refused()
        if wants_part(request):
            return render(request, "notifications/many_rules/copy_panel.html", _told(planned, effect))
        if valid and not only_asks(request):
            try:
                return _copied(request, rule, form, shops)
            except effects.Unconfirmed as error:
                question = error.question
                add_errors(form, error)
            except ValidationError as error:
                add_errors(form, error)
    context = {
        "rule": rule,
        "shop": shop,
        "shops": shops,
        "form": form,
        "question": question,
        "back": _list_of(rule),
        **_told(planned, effect),
    }
    return render(request, "notifications/many_rules/copy.html", context)


def _told(planned: Sequence[services.Copied], effect: EffectPanel) -> dict[str, Any]:
    """What the panel says: what the rule becomes in each shop, and who gains or loses what."""
    return {
        "planned": [one for one in planned if one.outcome != SAME],
        "same": sum(one.outcome == SAME for one in planned),
        "effect": effect,
    }


def _list_of(rule: NotificationRule) -> str:
    return f"{reverse('rules')}?{urlencode({'shop': rule.shop.site_id, 'rule': rule.reference})}"


def _chosen(form: CopyForm, shops: Sequence[Shop]) -> list[Shop]:
    return [shop for shop in shops if shop.site_id in form.cleaned_data["shops"]]


def _with_urls(form: CopyForm) -> bool:
    return bool(form.cleaned_data.get("with_urls"))


def _copy_effect(request: CompanyRequest, planned: Sequence[services.Copied]) -> EffectPanel:
    facts = _facts(request, [one.shop for one in planned])
    changed = [(one.shop.site_id, one.rule) for one in planned if one.outcome != SAME]
    return effects.compared(facts, services.imagined(facts, changed))


def _copied(request: CompanyRequest, rule: NotificationRule, form: CopyForm, shops: Sequence[Shop]) -> HttpResponse:
    actor, chosen = Actor.of(request), _chosen(form, shops)
    with audit.collected() as entries:
        done = effects.saved(
            lambda: _facts(request, chosen),
            lambda: services.rule_copy(rule=rule, shops=chosen, actor=actor, with_urls=_with_urls(form)),
            actor=actor,
            company=request.company,
            confirmed=request.POST.get(effects.CONFIRMED, ""),
        )
    _tell_copied(request, rule, Counter(one.outcome for one in done.answer), done.sentence, _keys(entries))
    return redirect(_list_of(rule))


def _tell_copied(
    request: CompanyRequest, rule: NotificationRule, outcomes: Counter[str], sentence: str, entries: list[int]
) -> None:
    changed = outcomes[CREATED] + outcomes[UPDATED]
    if not changed:
        messages.info(request, _("Rien n'a changé : ces boutiques avaient déjà cette règle, aux mêmes réglages."))
        return
    text = ngettext(
        "La règle « %(rule)s » est copiée vers %(n)d boutique.",
        "La règle « %(rule)s » est copiée vers %(n)d boutiques.",
        changed,
    ) % {"rule": rule.display_label, "n": changed}
    messages.success(request, format_html("{} {} {}", text, sentence, undo_link(request.membership, entries)))


def _keys(entries: Sequence[tuple[Any, Any]]) -> list[int]:
    return [entry.pk for entry, obj in entries if isinstance(obj, NotificationRule)]


# --- An address in many rules ---------------------------------------------------------------------


@company_page(permissions.MANAGE_RULES)
@get_and_post
def rules_address(request: CompanyRequest) -> HttpResponse:
    """Choose rules among those that the filters find, see who gains and loses what, save once."""
    asked = RulesFilter(request.GET)
    rules, too_many = _rules(request, asked)
    form = RulesAddressForm(request.POST or None, rules=rules, initial=_first_choice(request, asked, rules))
    outcome = submitted(
        request,
        form,
        effect=lambda: _address_effect(request, form, rules),
        save=lambda: _address_saved(request, form, rules),
        seen=lambda: stamp_of(rules),
    )
    if outcome.response is not None:
        return outcome.response
    query = request.GET.copy()
    query["part"] = "effect"
    context = {
        "asked": asked,
        "active": bool(asked.value("q") or asked.value("address") or asked.value("state") or asked.value("type")),
        "form": form,
        "rules": rules,
        "too_many": too_many,
        "max": MAX_RULES,
        "effect": outcome.effect,
        "question": outcome.question,
        "effect_url": f"?{query.urlencode()}",
        "types": [(code, label) for code, label in NotificationRule.Type.choices if code != RuleType.BUYER_EMAIL],
    }
    return render(request, "notifications/many_rules/address.html", context)


def _first_choice(request: CompanyRequest, asked: RulesFilter, rules: Sequence[NotificationRule]) -> dict[str, Any]:
    """Who comes with an address that rules have may want to take it out of them; else it is to be added.

    With `?all=1` every rule that the filters find is chosen.
    """
    email = asked.value("address")
    having = [str(rule.pk) for rule in rules if email and services.has_address(rule, email)]
    chosen = [str(rule.pk) for rule in rules] if "all" in request.GET else having
    return {"email": email, "rules": chosen, "change": services.REMOVE if having else services.ADD}


def _rules(request: CompanyRequest, asked: RulesFilter) -> tuple[list[NotificationRule], bool]:
    """The rules with recipients that the filters find and the user may change; whether there are more."""
    mine = open_shops_of(request.membership, permissions.MANAGE_RULES).order_by().values("pk")
    matching = rules_for(request.membership).filter(shop__in=mine).exclude(type=RuleType.BUYER_EMAIL)
    if kind := asked.value("type"):
        matching = matching.filter(type=kind)
    if (state := asked.value("state")) in ("on", "off"):
        matching = matching.filter(enabled=state == "on")
    if q := asked.value("q"):
        said = rule_screens.keys_saying(matching, q)
        listed = [key for key in matching.values_list("pk", flat=True) if key in said]
        rules = list(rule_screens.in_chunks(matching, listed[: MAX_RULES + 1]))
    else:
        rules = list(matching[: MAX_RULES + 1])
    for rule in rules:
        rule.shop.company = request.company
    return rules[:MAX_RULES], len(rules) > MAX_RULES


def _ticked(form: RulesAddressForm, rules: Sequence[NotificationRule]) -> list[NotificationRule]:
    return [rule for rule in rules if str(rule.pk) in form.cleaned_data["rules"]]


def _shops_of(request: CompanyRequest, rules: Sequence[NotificationRule]) -> list[Shop]:
    return list(shops_of(request.membership).filter(pk__in={rule.shop_id for rule in rules}))


def _address_effect(request: CompanyRequest, form: RulesAddressForm, rules: Sequence[NotificationRule]) -> EffectPanel:
    change, email, ticked = form.cleaned_data["change"], form.cleaned_data["email"], _ticked(form, rules)
    facts = _facts(request, _shops_of(request, ticked))
    changed = [(rule.shop.site_id, services.with_address(rule, change, email)) for rule in ticked]
    return effects.compared(facts, services.imagined(facts, changed))


def _address_saved(request: CompanyRequest, form: RulesAddressForm, rules: Sequence[NotificationRule]) -> HttpResponse:
    if form.cleaned_data["seen"] != stamp_of(rules):
        raise StaleVersion
    change, email, ticked = form.cleaned_data["change"], form.cleaned_data["email"], _ticked(form, rules)
    actor, shops = Actor.of(request), _shops_of(request, ticked)
    with audit.collected() as entries:
        done = effects.saved(
            lambda: _facts(request, shops),
            lambda: services.rules_address(rules=ticked, change=change, email=email, actor=actor),
            actor=actor,
            company=request.company,
            confirmed=request.POST.get(effects.CONFIRMED, ""),
        )
    count = done.answer
    if not count:
        messages.info(request, _("Rien n'a changé : ces règles étaient déjà ainsi."))
    else:
        if change == services.ADD:
            text = ngettext("%(email)s est ajoutée à %(n)d règle.", "%(email)s est ajoutée à %(n)d règles.", count)
        else:
            text = ngettext("%(email)s est retirée de %(n)d règle.", "%(email)s est retirée de %(n)d règles.", count)
        link = undo_link(request.membership, _keys(entries))
        messages.success(request, format_html("{} {} {}", text % {"email": email, "n": count}, done.sentence, link))
    return redirect(
        f"{reverse('all_rules')}?{urlencode({'address': email})}" if change == services.ADD else "all_rules"
    )
