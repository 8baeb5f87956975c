"""Paramétrage > Règles de notifications."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backoffice.forms import add_errors, read_only, show_version
from backoffice.paging import paginate
from companies import access, history, permissions
from companies.access import CompanyRequest, company_page, shop_or_404, shops_of
from companies.audit import Actor, StaleVersion
from shops.models import Shop

from . import impact, services, wording
from .catalogue import RULE_TYPE_LABELS, SHOP_MANAGER_SYMBOL, RuleType
from .models import NotificationRule
from .rule_forms import RuleForm
from .selectors import company_facts, delivery_tables, rules_of

# Up to this many shops one list holds them; beyond, they are searched.
SELECT_LIMIT = 30


@company_page()
@require_safe
def rules(request: CompanyRequest) -> HttpResponse:
    """The rules of one shop in tabs by type; without a shop, the choice of one."""
    mine = shops_of(request.membership)
    site_id = request.GET.get("shop", "")
    choices = list(mine[: SELECT_LIMIT + 1])
    if not site_id:
        if len(choices) == 1:
            return redirect(_url(choices[0]))
        return _shop_choice(request, mine)
    shop = shop_or_404(request, site_id)
    found = list(rules_of(shop))
    wanted = next((item for item in found if item.reference == request.GET.get("rule")), None)
    asked = wanted.type if wanted else request.GET.get("type", "")
    kind = asked if asked in RULE_TYPE_LABELS else RuleType.IPN_CALL
    manager = _manager_email(shop)
    context = {
        "shop": shop,
        "choices": choices if len(choices) <= SELECT_LIMIT else [],
        "tabs": [(code, label, sum(item.type == code for item in found)) for code, label in RULE_TYPE_LABELS.items()],
        "kind": kind,
        "rows": [_row(item, manager) for item in found if item.type == kind],
        "wanted": wanted,
        "may_edit": access.can(request.membership, permissions.MANAGE_RULES, shop),
    }
    return render(request, "notifications/rules/rules.html", context)


def _shop_choice(request: CompanyRequest, found: Any) -> HttpResponse:
    q = request.GET.get("q", "").strip()[:254]
    if q:
        found = found.filter(Q(name__icontains=q) | Q(site_id__contains=q))
    return render(request, "notifications/rules/shops.html", {"page": paginate(request, found), "q": q})


def _url(shop: Shop, reference: str = "") -> str:
    query = {"shop": shop.site_id, **({"rule": reference} if reference else {})}
    return f"{reverse('rules')}?{urlencode(query)}"


def _manager_email(shop: Shop) -> str:
    contact = shop.company.manager_contact
    return shop.manager_email or (contact.email if contact else "")


def _row(rule: NotificationRule, manager: str) -> dict[str, Any]:
    return {
        "rule": rule,
        "manager": manager if SHOP_MANAGER_SYMBOL in rule.recipients else "",
        "others": [entry for entry in rule.recipients if entry != SHOP_MANAGER_SYMBOL],
        "conditions": wording.conditions_text(rule.condition_facts),
    }


def _rule_or_404(
    request: CompanyRequest, site_id: str, reference: str, permission: str = permissions.VIEW
) -> NotificationRule:
    shop = shop_or_404(request, site_id, permission)
    rule = get_object_or_404(rules_of(shop), reference=reference)
    rule.shop = shop
    return rule


@company_page()
@require_http_methods(["GET", "HEAD", "POST"])
def rule(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    found = _rule_or_404(request, site_id, reference)
    may_edit = access.can(request.membership, permissions.MANAGE_RULES, found.shop)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    form = RuleForm(
        request.POST if request.method == "POST" else None, rule=found, manager_email=_manager_email(found.shop)
    )
    if form.is_bound and form.is_valid() and _save(request, found, form, form.cleaned_data["version"], form.saved()):
        return redirect(_url(found.shop, reference))
    if not may_edit:
        read_only(form)
    context = {
        "form": form,
        "rule": found,
        "title": found.display_label if not form.is_bound else form.initial["label"],
        "shop": found.shop,
        "back": _url(found.shop, reference),
        "conditions": wording.conditions_text(found.condition_facts),
        "may_edit": may_edit,
        "last_change": history.last_change(request.company.pk, ("notificationrule", found.pk)),
    }
    return render(request, "notifications/rules/rule.html", context)


def _save(
    request: CompanyRequest, rule: NotificationRule, form: RuleForm | None, version: int | None, fields: dict[str, Any]
) -> bool:
    before = delivery_tables(company_facts(request.company))
    try:
        changes = services.rule_update(rule=rule, actor=Actor.of(request), version=version, **fields)
    except StaleVersion as error:
        assert form is not None
        form.add_error(None, error)
        show_version(form, NotificationRule.objects.values_list("version", flat=True).get(pk=rule.pk))
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
    after = delivery_tables(company_facts(request.company))
    shown = text % {"rule": rule.display_label}
    messages.success(request, format_html("{} {}", shown, impact.difference_sentence(before, after)))
    return True


@company_page(permissions.MANAGE_RULES)
@require_POST
def rule_switch(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """Turn a rule on or off, as the button says."""
    found = _rule_or_404(request, site_id, reference, permissions.MANAGE_RULES)
    if request.POST.get("enabled") not in ("0", "1"):
        raise Http404
    _save(request, found, None, None, {"enabled": request.POST["enabled"] == "1"})
    return redirect(_url(found.shop, reference))
