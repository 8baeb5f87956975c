"""Paramétrage > Règles de notifications: the lists, « Gérer la règle », and what is done to a rule."""

from dataclasses import dataclass
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
from django.views.decorators.http import require_POST, require_safe

from backoffice.base import csv_files
from backoffice.base.forms import add_errors, carried_number, only_asks, read_only
from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate
from companies import audit
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.history import entries as history
from companies.history.taking_back import undo_link_after
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page, open_shops_of, shop_or_404, shops_of
from notifications.core.catalogue import NOTIFICATION_OF_RULE_TYPE, RULE_TYPE_LABELS, RuleType
from notifications.core.wording import conditions_in_words
from notifications.models import NotificationRule
from notifications.readers import rules_for, rules_of
from notifications.rules import screens as rule_screens
from notifications.rules import services as rule_services
from notifications.rules import trial_views
from notifications.rules.conditions import Conditions, changed_rows, variable_choices
from notifications.rules.forms import STATES, RuleForm, RulesFilter
from notifications.rules.samples import SampleForm
from notifications.rules.screens import ShopRules, shop_rules
from notifications.rules.strips import strips_by_url, strips_of
from notifications.rules.wizard import open_drafts
from notifications.tables import effects
from shops.models import Shop

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
    site_id = request.GET.get("shop", "")
    mine = open_shops_of(request.membership)
    # Where all are closed they are still there to be looked at.
    mine = mine if mine.exists() else shops_of(request.membership)
    choices = list(mine[: SELECT_LIMIT + 1])
    if not site_id:
        if len(choices) == 1:
            return redirect(list_url(choices[0]))
        return _shop_choice(request, mine)
    shop = shop_or_404(request, site_id)
    choices = choices if shop in choices else [*choices, shop]
    whole = shop_rules(shop)
    asked = RulesFilter(request.GET)
    remarked = {item.reference for item in whole.findings}
    listed = [rule for rule in whole.rules if asked.keeps(rule, remarked=rule.reference in remarked)]
    if request.GET.get("format") == "csv":
        for rule in listed:
            rule.shop = shop
        return csv_files.csv_response(
            rule_screens.csv_rows(listed, whole.manager), f"regles-{shop.site_id}", plain=csv_files.is_plain(request)
        )
    wanted = next((item for item in whole.rules if item.reference == request.GET.get("rule")), None)
    counts = {code: sum(item.type == code for item in listed) for code in RULE_TYPE_LABELS}
    chosen = wanted.type if wanted else request.GET.get("type", "")
    kind = chosen if chosen in RULE_TYPE_LABELS else RuleType.IPN_CALL
    if asked.is_active() and "type" not in request.GET and not counts[kind]:
        # A search without a tab opens the first tab that has an answer.
        kind = next((code for code, count in counts.items() if count), kind)
    rows = [whole.row(item) for item in listed if item.type == kind]
    strips = strips_of(row.rule for row in rows) if kind == RuleType.IPN_CALL else {}
    for row in rows:
        row.rule.shop = shop
        row.strip = strips.get(row.rule.pk)
    to_correct, to_know = rule_screens.each_once(whole.remarks(item for item in whole.findings if not item.mirrored))
    context = {
        "shop": shop,
        "choices": choices if len(choices) <= SELECT_LIMIT else [],
        "several": len(choices) > 1,
        "tabs": [(code, label, counts[code]) for code, label in RULE_TYPE_LABELS.items()],
        "kind": kind,
        "rows": rows,
        "asked": asked,
        "active": asked.is_active(),
        "states": [
            (code, label) for code, label in STATES.items() if code != "without_url" or kind == RuleType.IPN_CALL
        ],
        "to_correct": to_correct,
        "to_know": to_know,
        "wanted": wanted,
        "may_edit": may_edit(request, shop),
        "drafts": open_drafts(request, shop),
    }
    return render(request, "notifications/rules/rules.html", context)


def _shop_choice(request: CompanyRequest, shops: Any) -> HttpResponse:
    q = request.GET.get("q", "").strip()[:254]
    if q:
        shops = shops.filter(Q(name__icontains=q) | Q(site_id__contains=q))
    return render(request, "notifications/rules/shops.html", {"page": paginate(request, shops), "q": q})


@company_page()
@require_safe
def all_rules(request: CompanyRequest) -> HttpResponseBase:
    """« Toutes les boutiques »: which rules write to an address, call a URL, have none."""
    asked = RulesFilter(request.GET)
    listed = rules_for(request.membership)
    if kind := asked.value("type"):
        listed = listed.filter(type=kind)
    match asked.value("state"):
        case "on":
            listed = listed.filter(enabled=True)
        case "off":
            listed = listed.filter(enabled=False)
        case "without_url":
            empty = dict.fromkeys(NotificationRule.URL_FIELDS, "")
            listed = listed.filter(enabled=True, type=RuleType.IPN_CALL, **empty)
    keys: list[int] | None = None
    if q := asked.value("q"):
        said = rule_screens.keys_saying(listed, q)
        keys = [key for key in listed.values_list("pk", flat=True) if key in said]
    if address := asked.value("address"):
        told = rule_screens.keys_writing_to(listed, address, request.company)
        keys = [key for key in (listed.values_list("pk", flat=True) if keys is None else keys) if key in told]
    contact = request.company.manager_contact
    inherited = contact.email if contact else ""
    if request.GET.get("format") == "csv":
        every = listed.iterator(chunk_size=500) if keys is None else rule_screens.in_chunks(listed, keys)
        return csv_files.csv_response(
            rule_screens.csv_rows(every, inherited),
            f"regles-{request.company.reference}",
            plain=csv_files.is_plain(request),
        )
    page = paginate(request, listed if keys is None else keys, default=25)
    rules = list(page.object_list if keys is None else rule_screens.in_chunks(listed, list(page.object_list)))
    rows = rule_screens.rows_of_many(rules, inherited)
    for row in rows:
        row.may_edit = may_edit(request, row.rule.shop)
    context = {
        "page": page,
        "rows": rows,
        "may_edit_some": access.can_somewhere(request.membership, permissions.MANAGE_RULES),
        "filters": urlencode(
            {name: value for name in ("q", "address", "type", "state") if (value := asked.value(name))}
        ),
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
    """Redirect to the list with a message, for a page of a rule that was removed meanwhile."""
    if request.method != "POST":
        return None
    shop = shop_or_404(request, site_id, permissions.MANAGE_RULES)
    rules = rules_of(shop, archived=True).filter(reference=reference)
    newest = rules.order_by(F("archived_at").desc(nulls_first=True)).first()
    if newest is None or newest.archived_at is None:
        return None
    told = conflicts.told_of_removal(request, shop_id=shop.pk, kind="notificationrule", key=newest.pk)
    return redirect(list_url(shop, kind=newest.type)) if told else None


@dataclass(frozen=True)
class _Sent:
    """What a press on « Gérer la règle » is for.

    Attributes:
        data: what was typed; None where the page is only looked at.
        purpose: `save`, `test`, `effect` or `conditions` (a press on a button of theirs); empty for looking.
        part: the piece of the page that scripts ask for.
    """

    data: QueryDict | None = None
    purpose: str = ""
    part: str = ""

    @classmethod
    def of(cls, request: CompanyRequest) -> "_Sent":
        if request.method != "POST":
            return cls()
        changed = changed_rows(request.POST)
        if changed is not None:
            purpose = "conditions"
        elif "test" in request.POST:
            purpose = "test"
        else:
            purpose = "effect" if request.GET.get("part") or only_asks(request) else "save"
        return cls(request.POST if changed is None else changed, purpose, request.GET.get("part", ""))

    @property
    def is_judged(self) -> bool:
        """Whether all that was typed has to be right."""
        return self.purpose in ("save", "test", "effect")


@company_page()
@get_and_post
def rule(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """« Gérer la règle ». A press on a button of the conditions, and what scripts ask for, saves nothing."""
    if (gone := told_of_removal(request, site_id, reference)) is not None:
        return gone
    current = _rule_or_404(request, site_id, reference)
    editable = may_edit(request, current.shop)
    if request.method == "POST" and not editable:
        raise PermissionDenied
    whole = shop_rules(current.shop)
    sent = _Sent.of(request)
    if sent.data is not None and sent.part == "conditions":
        return render_conditions(request, Conditions.posted(sent.data), added=sent.purpose == "conditions")
    if sent.data is not None and sent.part == "impact":
        return _impact(request, whole, current, sent.data)
    form = RuleForm(sent.data, rule=current, manager_email=whole.manager)
    conditions = _conditions(current, sent.data)
    valid = sent.is_judged and all([form.is_valid(), conditions.is_valid()])
    question = None
    if sent.purpose == "save" and valid:
        try:
            if _save(request, current, form, _typed(form, conditions)):
                return redirect(list_url(current.shop, reference))
        except effects.Unconfirmed as error:
            question = error.question
            add_errors(form, error)
    test: dict[str, Any] = {}
    if sent.purpose == "test":
        test = trial_views.start(
            request, form.candidate(conditions=conditions.value()) if valid else None, current.shop
        )
        if request.headers.get("HX-Request"):
            return render(request, trial_views.RESULT, test)
    if sent.data is not None and not sent.is_judged:
        form.unchecked()
        conditions.unchecked()
    if not editable:
        read_only(form, *conditions.rows)
    context = _rule_context(request, whole, current, form, conditions, sent)
    return render(request, "notifications/rules/rule.html", {**context, **test, "question": question})


def _rule_context(
    request: CompanyRequest,
    whole: ShopRules,
    current: NotificationRule,
    form: RuleForm,
    conditions: Conditions,
    sent: _Sent,
) -> dict[str, Any]:
    candidate = current
    if sent.is_judged:
        candidate = form.candidate(**({"conditions": conditions.value()} if conditions.is_valid() else {}))
    preview = rule_screens.preview(whole, candidate, current)
    strips = strips_by_url(current)
    editable = may_edit(request, current.shop)
    return {
        "form": form,
        "conditions": conditions,
        "variables": variable_choices(),
        "checked": sent.is_judged,
        "may_test": editable and trial_views.may_test(request, current, current.shop),
        "sample": SampleForm(sent.data, rule=current),
        "rule": current,
        "row": whole.row(current),
        "preview": preview,
        "effect": preview.effect,
        "title": form.initial["label"],
        "shop": current.shop,
        "back": list_url(current.shop, current.reference),
        "content_url": _content_url(current),
        "may_edit": editable,
        "last_change": history.last_change(request.company.pk, ("notificationrule", current.pk)),
        "strips": [
            (strip, strip.chart(f"url-{n}", legend=n == len(strips))) for n, strip in enumerate(strips, start=1)
        ],
    }


def _typed(form: RuleForm, conditions: Conditions) -> dict[str, Any]:
    return form.saved() | {"conditions": conditions.value(), "credentials": form.credentials()}


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


def _impact(request: CompanyRequest, whole: ShopRules, rule: NotificationRule, data: QueryDict) -> HttpResponse:
    form = RuleForm(data, rule=rule, manager_email=whole.manager)
    conditions = _conditions(rule, data)
    valid = [form.is_valid(), conditions.is_valid()]
    more = {"conditions": conditions.value()} if valid[1] else {}
    context = {
        "preview": rule_screens.preview(whole, form.candidate(**more), rule),
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
    """Save a rule; False when refused, the reasons in the form or told. Raises Unconfirmed.

    Args:
        form: None where a button changes it.
    """
    shop, actor = rule.shop, Actor.of(request)
    seen = carried_number(request, "version") if form is None else form.cleaned_data["version"] or 0
    try:
        with audit.collected() as written:
            done = effects.saved(
                lambda: rule_screens.shop_only_facts(request.company, shop),
                lambda: rule_services.rule_update(rule=rule, actor=actor, seen=seen, **fields),
                actor=actor,
                company=request.company,
                confirmed=request.POST.get(effects.CONFIRMED, ""),
                asked_about=_asked_about(form),
            )
    except effects.Unconfirmed:
        raise
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
    changes = done.answer
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
    shown = text % {"rule": rules_of(shop).get(pk=rule.pk).display_label}
    messages.success(
        request, format_html("{} {} {}", shown, done.sentence, undo_link_after(request.membership, written))
    )
    return True


def _asked_about(form: RuleForm | None) -> tuple[str, ...]:
    """The notifications whose gap the form has confirmed by its own box « Personne ne sera prévenu : je confirme »."""
    return (NOTIFICATION_OF_RULE_TYPE[form.rule.type],) if form is not None and form.cleaned_data.get("nobody") else ()


def _tell(request: CompanyRequest, rule: NotificationRule, form: RuleForm) -> None:
    """What the second writer reads: the fields of the form and, beside them, the rows of the conditions."""
    rule = rules_of(rule.shop).select_related("shop").get(pk=rule.pk)
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
    rule = _rule_or_404(request, site_id, reference)
    if request.POST.get("enabled") not in ("0", "1"):
        raise Http404
    try:
        _save(request, rule, None, {"enabled": request.POST["enabled"] == "1"})
    except effects.Unconfirmed as error:
        return _ask_before_switching(request, rule, error.question)
    return redirect(_list_it_was_pressed_on(request) or list_url(rule.shop, reference))


def _list_it_was_pressed_on(request: CompanyRequest) -> str:
    """The page of all shops with its filters, where the switch was pressed there."""
    path, _mark, query = request.POST.get("back", "")[:2000].partition("?")
    return f"{path}?{query}" if path == reverse("all_rules") else ""


def _ask_before_switching(
    request: CompanyRequest, rule: NotificationRule, question: effects.GapQuestion
) -> HttpResponse:
    """Ask about a gap on a page of its own, since the button that opened it has none."""
    context = {
        "title": _("Activer la règle « %(rule)s »") % {"rule": rule.display_label},
        "action": _("Activer"),
        "question": question,
        "carried": [(name, request.POST[name]) for name in ("enabled", "version", "back") if name in request.POST],
        "back": list_url(rule.shop, rule.reference),
    }
    return render(request, "notifications/effects/confirm.html", context)


@company_page(permissions.MANAGE_RULES)
@require_POST
def rule_duplicate(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """« Dupliquer »: a copy that is off, opened at once to be changed."""
    shop_to_edit(request, site_id)
    rule = _rule_or_404(request, site_id, reference)
    try:
        copy = rule_services.rule_duplicate(rule=rule, actor=Actor.of(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("rule", site_id, reference)
    messages.success(
        request,
        _("Voici la copie de « %(rule)s ». Elle est désactivée : modifiez-la, puis activez-la.")
        % {"rule": rule.display_label},
    )
    return redirect("rule", site_id, copy.reference)


@company_page(permissions.MANAGE_RULES)
@get_and_post
def rule_delete(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """« Supprimer »: asks first, naming the rule and what stops with it. Default rules have none."""
    shop = shop_to_edit(request, site_id)
    if (gone := told_of_removal(request, site_id, reference)) is not None:
        return gone
    rule = _rule_or_404(request, site_id, reference)
    if rule.is_default:
        raise Http404
    conflict = None
    if request.method == "POST":
        actor, seen = Actor.of(request), carried_number(request, "version")
        try:
            done = effects.saved(
                lambda: rule_screens.shop_only_facts(request.company, shop),
                lambda: rule_services.rule_delete(rule=rule, actor=actor, seen=seen),
                actor=actor,
                company=request.company,
            )
        except StaleVersion:
            rule = _rule_or_404(request, site_id, reference)
            conflict = conflicts.conflict(request, ("notificationrule", rule.pk), is_form=False)
        else:
            text = _("La règle « %(rule)s » est supprimée.") % {"rule": rule.display_label}
            messages.success(request, format_html("{} {}", text, done.sentence))
            return redirect(list_url(shop, kind=rule.type))
    whole = shop_rules(shop)
    off = rule_screens.with_enabled(rule, False)
    context = {
        "rule": rule,
        "shop": shop,
        "row": whole.row(rule),
        "effect": rule_screens.preview(whole, off, rule).effect,
        "back": list_url(shop, reference),
        "conflict": conflict,
    }
    return render(request, "notifications/rules/delete.html", context)
