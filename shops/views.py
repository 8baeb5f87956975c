"""Paramétrage > Boutique."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from backoffice.forms import add_errors, read_only, show_version
from backoffice.paging import paginate, sort_key
from companies import access, history, permissions
from companies.access import CompanyRequest, company_page, shop_or_404, shops_of
from companies.audit import Actor, StaleVersion
from notifications import impact
from notifications.selectors import company_facts, delivery_tables, rules_of, visible_facts

from .forms import ShopForm
from .models import Shop
from .services import shop_update

END_OF_PAYMENT_RULE = "ipn-end"


@company_page()
@require_safe
def shops(request: CompanyRequest) -> HttpResponse:
    found = shops_of(request.membership)
    q = request.GET.get("q", "").strip()[:254]
    if not q and "page" not in request.GET:
        first = list(found[:2])
        if len(first) == 1:
            return redirect("shop_configuration", first[0].site_id)
    if q:
        found = found.filter(Q(name__icontains=q) | Q(site_id__contains=q) | Q(manager_email__icontains=q))
    sorts = {"name": "name", "site_id": "site_id", "email": "manager_email", "status": "status"}
    page = paginate(request, found.order_by(sort_key(request, sorts, default="site_id"), "pk"))
    manager = request.company.manager_contact
    return render(request, "shops/shops.html", {"page": page, "q": q, "inherited": manager.email if manager else ""})


@company_page()
@require_http_methods(["GET", "HEAD", "POST"])
def configuration(request: CompanyRequest, site_id: str) -> HttpResponse:
    shop = shop_or_404(request, site_id)
    may_edit = access.can(request.membership, permissions.EDIT_SETTINGS, shop)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    manager = request.company.manager_contact
    inherited = manager.email if manager else ""
    facts = visible_facts(request.company, request.membership)
    if "preview" in request.GET:
        typed = request.GET.get("manager_email", "").strip() or inherited
        item = impact.Panel(typed, [])
        preview = impact.panel(delivery_tables(facts), typed)
        if not preview.error:
            own = request.GET.get("manager_email", "").strip()
            item = impact.panels(impact.with_shop_manager(facts, site_id, own), [typed])[0]
        return render(request, "companies/address_panel.html", {"panels": [preview if preview.error else item]})
    data: Any = None
    if request.method == "POST":
        data = request.POST.copy()
        if "inherit" in data:
            data["manager_email"] = ""
    form = ShopForm(data, shop=shop, inherited=inherited)
    if data is not None and form.is_valid() and _save(request, shop, form):
        return redirect("shop_configuration", site_id)
    if not may_edit:
        read_only(form)
    shop = shop_or_404(request, site_id)
    context = {
        "form": form,
        "shop": shop,
        "may_edit": may_edit,
        "inherited": inherited,
        "panels": impact.panels(facts, filter(None, [shop.manager_email or inherited])),
        "end_rule": rules_of(shop).filter(reference=END_OF_PAYMENT_RULE).first(),
        "last_change": history.last_change(request.company.pk, ("shop", shop.pk)),
    }
    return render(request, "shops/configuration.html", context)


def _save(request: CompanyRequest, shop: Shop, form: ShopForm) -> bool:
    before = delivery_tables(company_facts(request.company))
    fields = {name: form.cleaned_data[name] for name in form.SAVED}
    try:
        changes = shop_update(shop=shop, actor=Actor.of(request), version=form.cleaned_data["version"], **fields)
    except StaleVersion as error:
        form.add_error(None, error)
        show_version(form, Shop.objects.values_list("version", flat=True).get(pk=shop.pk))
        return False
    except ValidationError as error:
        add_errors(form, error)
        return False
    if not changes:
        messages.info(request, _("Rien n'a changé."))
        return True
    names = ", ".join(str(form.fields[name].label) for name in changes)
    saved = _("Boutique enregistrée. Modifié : %(names)s.") % {"names": names}
    after = delivery_tables(company_facts(request.company))
    messages.success(request, format_html("{} {}", saved, impact.difference_sentence(before, after)))
    return True
