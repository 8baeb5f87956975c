"""Paramétrage > Boutique."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from backoffice.forms import add_errors, read_only
from backoffice.paging import paginate, sort_key
from companies import access, conflicts, history, permissions
from companies.access import CompanyRequest, company_page, shop_or_404, shops_of
from companies.audit import Actor, StaleVersion
from notifications import impact
from notifications.catalogue import DEFAULT_RULES, SHOP_MANAGER_SYMBOL
from notifications.facts import CompanyFacts, RuleFacts, ShopFacts
from notifications.selectors import company_facts, delivery_tables, rules_of, visible_facts

from . import selectors, services
from .forms import NewShopForm, ShopForm
from .models import Shop
from .selectors import END_OF_PAYMENT_RULE
from .services import shop_update

# The tabs of a shop's pages that a list of shops can lead to.
TABS = {
    "configuration": "shop_configuration",
    "keys": "shop_keys",
    "contracts": "shop_contracts",
    "data-form": "data_form",
}


@company_page()
@require_safe
def shops(request: CompanyRequest, tab: str = "configuration") -> HttpResponse:
    """The shops to choose from, or straight to the only one. `tab`: where a shop's link leads."""
    if tab == "keys" and not access.can_somewhere(request.membership, permissions.MANAGE_KEYS):
        raise PermissionDenied
    found = shops_of(request.membership, permissions.MANAGE_KEYS if tab == "keys" else permissions.VIEW)
    if wanted := request.GET.get("shop", ""):
        # From the selector of a shop's page.
        return redirect(TABS.get(request.GET.get("tab", tab), TABS[tab]), shop_or_404(request, wanted).site_id)
    q = request.GET.get("q", "").strip()[:254]
    if not q and "page" not in request.GET:
        first = list(found[:2])
        if len(first) == 1:
            return redirect(TABS[tab], first[0].site_id)
    if q:
        found = found.filter(Q(name__icontains=q) | Q(site_id__contains=q) | Q(manager_email__icontains=q))
    sorts = {"name": "name", "site_id": "site_id", "email": "manager_email", "status": "status"}
    page = paginate(request, found.order_by(sort_key(request, sorts, default="site_id"), "pk"))
    manager = request.company.manager_contact
    context = {
        "page": page,
        "q": q,
        "inherited": manager.email if manager else "",
        "view_name": TABS[tab],
        "may_create": access.can(request.membership, permissions.MANAGE_COMPANY),
    }
    return render(request, "shops/shops.html", context)


# --- A new shop -----------------------------------------------------------------------------------


@company_page(permissions.MANAGE_COMPANY)
@require_http_methods(["GET", "HEAD", "POST"])
def shop_new(request: CompanyRequest) -> HttpResponse:
    """Open a shop. Its identifier is drawn with the page, so that a form sent twice opens one shop."""
    manager = request.company.manager_contact
    inherited = manager.email if manager else ""
    if "preview" in request.GET:
        return _new_shop_panel(request, request.GET.get("manager_email", "").strip() or inherited)
    data = request.POST if request.method == "POST" else None
    form = NewShopForm(data, inherited=inherited, initial={"language": request.company.language})
    site_id = _site_id_of(request, form)
    if data is not None and form.is_valid():
        mine = shops_of(request.membership).filter(site_id=site_id)
        shop = mine.first()
        if shop is None and (shop := _open(request, form, site_id)):
            told = _("La boutique %(shop)s est créée ; un e-mail l'annonce à %(email)s.")
            messages.success(request, told % {"shop": shop.name, "email": shop.manager_email or inherited})
        # None: refused, or the same form arrived twice at once and the other one was faster.
        shop = shop or mine.first()
        if shop is not None:
            return redirect("shop_configuration", shop.site_id)
        if Shop.objects.filter(site_id=site_id).exists():
            form.add_error(
                None, _("L'identifiant %(site_id)s vient d'être pris : en voici un autre.") % {"site_id": site_id}
            )
            site_id = _propose(request, form)
    typed = (form["manager_email"].value() or "").strip()
    context = {"form": form, "site_id": site_id, "panels": _new_shop_panels(request, typed or inherited)}
    return render(request, "shops/shop_new.html", context)


def _signer(request: CompanyRequest) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"shops.new.{request.company.pk}")


def _site_id_of(request: CompanyRequest, form: NewShopForm) -> str:
    """The identifier the form carries, or a fresh one where it carries none of ours."""
    try:
        return _signer(request).unsign(request.POST.get("site_id", ""), max_age=24 * 3600)
    except signing.BadSignature:
        return _propose(request, form)


def _propose(request: CompanyRequest, form: NewShopForm) -> str:
    """Let the form carry a fresh identifier, signed so that nobody chooses one."""
    site_id = services.free_site_id()
    form.initial["site_id"] = _signer(request).sign(site_id)
    if form.is_bound:
        data = request.POST.copy()
        data["site_id"] = form.initial["site_id"]
        form.data = data
    return site_id


def _open(request: CompanyRequest, form: NewShopForm, site_id: str) -> Shop | None:
    fields = {name: form.cleaned_data[name] for name in form.SAVED}
    try:
        return services.shop_open(
            membership=request.membership,
            actor=Actor.of(request),
            contracts=form.cleaned_data["contracts"],
            site_id=site_id,
            **fields,
        )
    except IntegrityError:
        return None
    except ValidationError as error:
        # A taken identifier is told by the caller, who offers another.
        if not hasattr(error, "error_dict") or set(error.error_dict) != {"site_id"}:
            add_errors(form, error)
        return None


def _with_new_shop(facts: CompanyFacts, manager_email: str) -> CompanyFacts:
    """The facts as they would be with one more shop that has the default rules."""
    rules = tuple(
        RuleFacts(rule.reference, rule.type, str(rule.label), True, rule.triggers, recipients=(SHOP_MANAGER_SYMBOL,))
        for rule in DEFAULT_RULES
        if rule.enabled
    )
    new = ShopFacts("00000000", _("Nouvelle boutique"), facts.language, manager_email or None, rules=rules)
    return replace(facts, shops=(*facts.shops, new))


def _new_shop_panels(request: CompanyRequest, email: str) -> list[impact.Panel]:
    return impact.panels(
        _with_new_shop(visible_facts(request.company, request.membership), email), filter(None, [email])
    )


def _new_shop_panel(request: CompanyRequest, email: str) -> HttpResponse:
    return render(request, "companies/address_panel.html", {"panels": _new_shop_panels(request, email)})


# --- Configuration --------------------------------------------------------------------------------


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
    steps = selectors.next_steps(
        shop,
        manager_email=shop.manager_email or inherited,
        may_manage_keys=access.can(request.membership, permissions.MANAGE_KEYS, shop),
    )
    context = {
        "form": form,
        "shop": shop,
        "steps": steps,
        "may_edit": may_edit,
        "may_create": access.can(request.membership, permissions.MANAGE_COMPANY),
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
    except StaleVersion:
        fresh = ShopForm(shop=Shop.objects.get(pk=shop.pk), inherited="")
        conflicts.tell(request, form, fresh, ("shop", shop.pk))
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
