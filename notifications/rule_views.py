"""Paramétrage > Règles de notifications: the lists, « Gérer la règle », and what is done to a rule."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import F, Q
from django.http import Http404, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backoffice.forms import add_errors, carried_number, read_only
from backoffice.paging import paginate
from companies import access, conflicts, history, permissions
from companies.access import CompanyRequest, company_page, shop_or_404, shops_of
from companies.audit import Actor, StaleVersion
from shops.models import Shop

from . import exports, impact, rule_screens, services, test_views
from .catalogue import RULE_TYPE_LABELS, RuleType
from .condition_forms import Conditions, changed_rows, variable_choices
from .models import NotificationRule
from .rule_forms import STATES, RuleForm, RulesFilter
from .rule_screens import ShopRules, shop_rules
from .selectors import delivery_tables, rules_in, rules_of
from .wizard import open_drafts
from .wording import conditions_in_words

# Up to this many shops one list holds them; beyond, they are searched.
SELECT_LIMIT = 30


def may_edit(request: CompanyRequest, shop: Shop) -> bool:
    return access.can(request.membership, permissions.MANAGE_RULES, shop)


def shop_to_edit(request: CompanyRequest, site_id: str) -> Shop:
    """A shop whose rules the user may change; 404 for a stranger's, 403 without the right."""
    return shop_or_404(request, site_id, permissions.MANAGE_RULES)


def list_url(shop: Shop, reference: str = "", kind: str = "") -> str:
    """The page of a shop's rules, opened at a rule or a tab."""
    query = {"shop": shop.site_id}
    if reference:
        query["rule"] = reference
    elif kind:
        query["type"] = kind
    return f"{reverse('rules')}?{urlencode(query)}"


# --- Lists ----------------------------------------------------------------------------------------


@company_page()
@require_safe
def rules(request: CompanyRequest) -> HttpResponseBase:
    """The rules of one shop in tabs by type; without a shop, the choice of one."""
    mine = shops_of(request.membership)
    site_id = request.GET.get("shop", "")
    choices = list(mine[: SELECT_LIMIT + 1])
    if not site_id:
        if len(choices) == 1:
            return redirect(list_url(choices[0]))
        return _shop_choice(request, mine)
    shop = shop_or_404(request, site_id)
    whole = shop_rules(shop)
    asked = RulesFilter(request.GET)
    remarked = {item.reference for item in whole.findings}
    found = [rule for rule in whole.rules if asked.keeps(rule, remarked=rule.reference in remarked)]
    if request.GET.get("format") == "csv":
        for rule in found:
            rule.shop = shop
        return exports.csv_response(rule_screens.csv_rows(found, whole.manager), f"regles-{shop.site_id}")
    wanted = next((item for item in whole.rules if item.reference == request.GET.get("rule")), None)
    counts = {code: sum(item.type == code for item in found) for code in RULE_TYPE_LABELS}
    chosen = wanted.type if wanted else request.GET.get("type", "")
    kind = chosen if chosen in RULE_TYPE_LABELS else RuleType.IPN_CALL
    if asked.is_active() and "type" not in request.GET and not counts[kind]:
        # A search without a tab opens the first tab that has an answer.
        kind = next((code for code, count in counts.items() if count), kind)
    context = {
        "shop": shop,
        "choices": choices if len(choices) <= SELECT_LIMIT else [],
        "several": len(choices) > 1,
        "tabs": [(code, label, counts[code]) for code, label in RULE_TYPE_LABELS.items()],
        "kind": kind,
        "rows": [whole.row(item) for item in found if item.type == kind],
        "asked": asked,
        "active": asked.is_active(),
        "states": [
            (code, label) for code, label in STATES.items() if code != "without_url" or kind == RuleType.IPN_CALL
        ],
        "remarks": whole.remarks(whole.findings),
        "wanted": wanted,
        "may_edit": may_edit(request, shop),
        "drafts": open_drafts(request, shop),
    }
    return render(request, "notifications/rules/rules.html", context)


def _shop_choice(request: CompanyRequest, found: Any) -> HttpResponse:
    q = request.GET.get("q", "").strip()[:254]
    if q:
        found = found.filter(Q(name__icontains=q) | Q(site_id__contains=q))
    return render(request, "notifications/rules/shops.html", {"page": paginate(request, found), "q": q})


@company_page()
@require_safe
def all_rules(request: CompanyRequest) -> HttpResponseBase:
    """« Toutes les boutiques »: which rules write to an address, call a URL, have none."""
    asked = RulesFilter(request.GET)
    found = rules_in(request.membership)
    if kind := asked.value("type"):
        found = found.filter(type=kind)
    match asked.value("state"):
        case "on":
            found = found.filter(enabled=True)
        case "off":
            found = found.filter(enabled=False)
        case "without_url":
            empty = dict.fromkeys(NotificationRule.URL_FIELDS, "")
            found = found.filter(enabled=True, type=RuleType.IPN_CALL, **empty)
    keys: list[int] | None = None
    if q := asked.value("q"):
        said = rule_screens.keys_saying(found, q)
        keys = [key for key in found.values_list("pk", flat=True) if key in said]
    if address := asked.value("address"):
        told = rule_screens.keys_writing_to(found, address, request.company)
        keys = [key for key in (found.values_list("pk", flat=True) if keys is None else keys) if key in told]
    contact = request.company.manager_contact
    inherited = contact.email if contact else ""
    if request.GET.get("format") == "csv":
        every = found.iterator(chunk_size=500) if keys is None else rule_screens.in_chunks(found, keys)
        return exports.csv_response(rule_screens.csv_rows(every, inherited), f"regles-{request.company.reference}")
    page = paginate(request, found if keys is None else keys)
    rules = list(page.object_list if keys is None else rule_screens.in_chunks(found, list(page.object_list)))
    context = {
        "page": page,
        "rows": rule_screens.rows_of_many(rules, inherited),
        "asked": asked,
        "active": asked.is_active() or bool(asked.value("type")),
        "types": RULE_TYPE_LABELS,
        "states": [(code, label) for code, label in STATES.items() if code != "remarks"],
    }
    return render(request, "notifications/rules/all.html", context)


# --- One rule -------------------------------------------------------------------------------------


def _rule_or_404(request: CompanyRequest, site_id: str, reference: str) -> NotificationRule:
    shop = shop_or_404(request, site_id)
    rule = get_object_or_404(rules_of(shop), reference=reference)
    rule.shop = shop
    return rule


def told_of_removal(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse | None:
    """Back to the list for whoever sends a page of a rule that somebody has removed meanwhile."""
    if request.method != "POST":
        return None
    shop = shop_or_404(request, site_id, permissions.MANAGE_RULES)
    rules = NotificationRule.objects.filter(shop=shop, reference=reference).order_by(
        F("archived_at").desc(nulls_first=True)
    )
    found = rules.first()
    if found is None or found.archived_at is None:
        return None
    told = conflicts.told_of_removal(request, shop_id=shop.pk, kind="notificationrule", key=found.pk)
    return redirect(list_url(shop, kind=found.type)) if told else None


@company_page()
@require_http_methods(["GET", "HEAD", "POST"])
def rule(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """« Gérer la règle ». A press on a button of the conditions, and what scripts ask for, saves nothing."""
    if (gone := told_of_removal(request, site_id, reference)) is not None:
        return gone
    found = _rule_or_404(request, site_id, reference)
    editable = may_edit(request, found.shop)
    if request.method == "POST" and not editable:
        raise PermissionDenied
    whole = shop_rules(found.shop)
    data: QueryDict | None = None
    saving = testing = False
    test: dict[str, Any] = {}
    if request.method == "POST":
        changed = changed_rows(request.POST)
        part = request.GET.get("part", "")
        testing = "test" in request.POST
        data = request.POST if changed is None else changed
        saving = changed is None and not part and not testing
        if part == "conditions":
            return render_conditions(request, Conditions.posted(data), added=changed is not None)
        if part == "impact":
            return _impact(request, whole, found, data)
    form = RuleForm(data, rule=found, manager_email=whole.manager)
    conditions = _conditions(found, data)
    if saving:
        valid = [form.is_valid(), conditions.is_valid()]
        if all(valid) and _save(request, found, form, form.saved() | {"conditions": conditions.value()}):
            return redirect(list_url(found.shop, reference))
    elif testing:
        valid = [form.is_valid(), conditions.is_valid()]
        typed = form.candidate(conditions=conditions.value()) if all(valid) else None
        test = test_views.start(request, typed, found.shop)
        if request.headers.get("HX-Request"):
            return render(request, test_views.RESULT, test)
    elif data is not None:
        form.unchecked()
        conditions.unchecked()
    if not editable:
        read_only(form, *conditions.rows)
    context = {
        "form": form,
        "conditions": conditions,
        "variables": variable_choices(),
        "checked": saving or testing,
        "may_test": editable and test_views.may_test(request, found, found.shop),
        **test,
        "rule": found,
        "row": whole.row(found),
        "preview": rule_screens.preview(whole, form.candidate() if saving or testing else found, found),
        "title": form.initial["label"],
        "shop": found.shop,
        "back": list_url(found.shop, reference),
        "content_url": _content_url(found),
        "may_edit": editable,
        "last_change": history.last_change(request.company.pk, ("notificationrule", found.pk)),
    }
    return render(request, "notifications/rules/rule.html", context)


def _conditions(rule: NotificationRule, data: QueryDict | None) -> Conditions:
    """The rows typed, or the stored ones where the post did not show them."""
    if data is None or "with_conditions" not in data:
        return Conditions.stored(rule.conditions)
    return Conditions.posted(data)


def render_conditions(request: CompanyRequest, conditions: Conditions, *, added: bool) -> HttpResponse:
    """The rows alone, after a press on one of their buttons."""
    conditions.unchecked()
    context = {"conditions": conditions, "variables": variable_choices(), "checked": False, "may_edit": True}
    response = render(request, "notifications/rules/conditions.html", context)
    if added:
        response["HX-Trigger-After-Settle"] = "rulechange"
    return response


def _impact(request: CompanyRequest, whole: ShopRules, found: NotificationRule, data: QueryDict) -> HttpResponse:
    form = RuleForm(data, rule=found, manager_email=whole.manager)
    conditions = _conditions(found, data)
    valid = [form.is_valid(), conditions.is_valid()]
    more = {"conditions": conditions.value()} if valid[1] else {}
    context = {
        "preview": rule_screens.preview(whole, form.candidate(**more), found),
        "incomplete": not all(valid),
        "shop": whole.shop,
    }
    return render(request, "notifications/rules/impact.html", context)


def _content_url(rule: NotificationRule) -> str:
    """The page of the mail's words, for rules that write one."""
    if rule.type == RuleType.IPN_CALL:
        return ""
    return reverse("rule_content", args=[rule.shop.site_id, rule.reference])


def _save(request: CompanyRequest, rule: NotificationRule, form: RuleForm | None, fields: dict[str, Any]) -> bool:
    shop = rule.shop
    before = delivery_tables(rule_screens.shop_only_facts(request.company, shop))
    version = carried_number(request, "version") if form is None else form.cleaned_data["version"] or 0
    try:
        changes = services.rule_update(rule=rule, actor=Actor.of(request), version=version, **fields)
    except StaleVersion:
        if form is None:
            conflicts.tell_by_message(request, ("notificationrule", rule.pk))
        else:
            _tell(request, rule, form)
        return False
    except ValidationError as error:
        if form is None:
            messages.error(request, " ".join(error.messages))
        else:
            if hasattr(error, "error_dict") and "recipients" in error.error_dict:
                form.add_error("others", error.error_dict.pop("recipients"))
            add_errors(form, error)
        return False
    if not changes:
        messages.info(request, _("Rien n'a changé."))
        return True
    if set(changes) == {"enabled"}:
        text = (
            _("La règle « %(rule)s » est activée.")
            if changes["enabled"][1]
            else _("La règle « %(rule)s » est désactivée.")
        )
    else:
        text = _("La règle « %(rule)s » est enregistrée.")
    after = delivery_tables(rule_screens.shop_only_facts(request.company, shop))
    shown = text % {"rule": NotificationRule.objects.get(pk=rule.pk).display_label}
    messages.success(request, format_html("{} {}", shown, impact.difference_sentence(before, after)))
    return True


def _tell(request: CompanyRequest, rule: NotificationRule, form: RuleForm) -> None:
    """What the second writer reads: the fields of the form and, beside them, the rows of the conditions."""
    rule = NotificationRule.objects.select_related("shop").get(pk=rule.pk)
    fresh = RuleForm(rule=rule, manager_email=shop_rules(rule.shop).manager)
    conflicts.tell(request, form, fresh, ("notificationrule", rule.pk))
    typed = _conditions(rule, request.POST)
    if typed.is_valid() and typed.value() != rule.conditions:
        stored, here = (conditions_in_words(value) or _("(vide)") for value in (rule.conditions, typed.value()))
        form.conflict.differences.append((_("Conditions"), stored, here))  # type: ignore[attr-defined]


@company_page(permissions.MANAGE_RULES)
@require_POST
def rule_switch(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """Turn a rule on or off, as the button says."""
    shop_to_edit(request, site_id)
    if (gone := told_of_removal(request, site_id, reference)) is not None:
        return gone
    found = _rule_or_404(request, site_id, reference)
    if request.POST.get("enabled") not in ("0", "1"):
        raise Http404
    _save(request, found, None, {"enabled": request.POST["enabled"] == "1"})
    return redirect(list_url(found.shop, reference))


@company_page(permissions.MANAGE_RULES)
@require_POST
def rule_duplicate(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """« Dupliquer »: a copy that is off, opened at once to be changed."""
    shop_to_edit(request, site_id)
    found = _rule_or_404(request, site_id, reference)
    try:
        copy = services.rule_duplicate(rule=found, actor=Actor.of(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("rule", site_id, reference)
    messages.success(
        request,
        _("Voici la copie de « %(rule)s ». Elle est désactivée : modifiez-la, puis activez-la.")
        % {"rule": found.display_label},
    )
    return redirect("rule", site_id, copy.reference)


@company_page(permissions.MANAGE_RULES)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_delete(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """« Supprimer »: asks first, naming the rule and what stops with it. Default rules have none."""
    shop = shop_to_edit(request, site_id)
    if (gone := told_of_removal(request, site_id, reference)) is not None:
        return gone
    found = _rule_or_404(request, site_id, reference)
    if found.is_default:
        raise Http404
    conflict = None
    if request.method == "POST":
        before = delivery_tables(rule_screens.shop_only_facts(request.company, shop))
        try:
            services.rule_delete(rule=found, actor=Actor.of(request), version=carried_number(request, "version"))
        except StaleVersion:
            found = _rule_or_404(request, site_id, reference)
            conflict = conflicts.conflict(request, ("notificationrule", found.pk), is_form=False)
    if request.method == "POST" and conflict is None:
        after = delivery_tables(rule_screens.shop_only_facts(request.company, shop))
        text = _("La règle « %(rule)s » est supprimée.") % {"rule": found.display_label}
        messages.success(request, format_html("{} {}", text, impact.difference_sentence(before, after)))
        return redirect(list_url(shop, kind=found.type))
    whole = shop_rules(shop)
    off = rule_screens.with_enabled(found, False)
    context = {
        "rule": found,
        "shop": shop,
        "row": whole.row(found),
        "changes": rule_screens.preview(whole, off, found).changes,
        "back": list_url(shop, reference),
        "conflict": conflict,
    }
    return render(request, "notifications/rules/delete.html", context)
