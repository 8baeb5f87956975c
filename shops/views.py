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
from django.views.decorators.http import require_safe

from backoffice.base.forms import add_errors, only_asks, read_only, wants_part
from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate, sort_key
from backoffice.text import addresses
from companies import audit
from companies.audit import Actor, Changes, StaleVersion
from companies.history import conflicts
from companies.history import entries as history
from companies.history.taking_back import undo_link_after
from companies.models import Contact
from companies.rights import access, permissions
from companies.rights.access import (
    CompanyRequest,
    company_page,
    open_shops_of,
    refuse_where_all_is_closed,
    shop_or_404,
    shops_of,
)
from notifications.core.catalogue import DEFAULT_RULES, SHOP_MANAGER_SYMBOL, RuleType
from notifications.core.facts import CompanyFacts, RuleFacts, ShopFacts
from notifications.settings_facts import company_facts, contacts_of, shop_only, visible_facts
from notifications.tables import effects, impact, screens
from notifications.tables.effects import EffectPanel
from shops import selectors, services
from shops.forms import NewShopForm, ShopForm
from shops.models import Shop
from shops.selectors import END_OF_PAYMENT_RULE
from shops.services import shop_update

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
    listed = shops_of(request.membership)
    if tab == "keys":
        refuse_where_all_is_closed(request.membership, permissions.MANAGE_KEYS)
        listed = open_shops_of(request.membership, permissions.MANAGE_KEYS)
    if wanted := request.GET.get("shop", ""):
        # From the selector of a shop's page.
        return redirect(TABS.get(request.GET.get("tab", tab), TABS[tab]), shop_or_404(request, wanted).site_id)
    q = request.GET.get("q", "").strip()[:254]
    if not q and "page" not in request.GET:
        first = list(listed[:2])
        if len(first) == 1:
            return redirect(TABS[tab], first[0].site_id)
    if q:
        listed = listed.filter(Q(name__icontains=q) | Q(site_id__contains=q) | Q(manager_email__icontains=q))
    sorts = {"name": "name", "site_id": "site_id", "email": "manager_email", "status": "status"}
    page = paginate(request, listed.order_by(sort_key(request, sorts, default="site_id"), "pk"))
    manager = request.company.manager_contact
    context = {
        "page": page,
        "q": q,
        "inherited": manager.email if manager else "",
        "view_name": TABS[tab],
        "may_bulk": access.can_somewhere(request.membership, permissions.EDIT_SETTINGS),
        "may_create": access.can(request.membership, permissions.MANAGE_COMPANY),
    }
    return render(request, "shops/shops.html", context)


# --- A new shop -----------------------------------------------------------------------------------


@company_page(permissions.MANAGE_COMPANY)
@get_and_post
def shop_new(request: CompanyRequest) -> HttpResponse:
    """Open a shop. Its identifier is drawn with the page, so that a form sent twice opens one shop."""
    contacts = contacts_of(request.company)
    inherited = contacts.get(Contact.Kind.MANAGER, "")
    if "preview" in request.GET:
        return _new_shop_panel(request, addresses.bare(request.GET.get("manager_email", "").strip()) or inherited)
    data = request.POST if request.method == "POST" else None
    form = NewShopForm(data, inherited=inherited, initial={"language": request.company.language})
    site_id = _site_id_of(request, form)
    effect, question = effects.EMPTY, None
    if only_asks(request):
        effect = _effect_of_new(request, form, site_id) if form.is_valid() else effects.refused()
        if wants_part(request):
            return effects.panel_alone(request, effect)
    elif data is not None and form.is_valid():
        try:
            shop = _opened(request, form, site_id, inherited)
        except effects.Unconfirmed as error:
            shop, question = None, error.question
            add_errors(form, error)
        if shop is not None:
            return redirect("shop_configuration", shop.site_id)
        if services.site_id_is_taken(site_id):
            form.add_error(
                None, _("L'identifiant %(site_id)s vient d'être pris : en voici un autre.") % {"site_id": site_id}
            )
            site_id = _propose(request, form)
    typed = addresses.bare((form["manager_email"].value() or "").strip())
    context = {
        "form": form,
        "site_id": site_id,
        "effect": effect,
        "question": question,
        "panels": _new_shop_panels(request, typed or inherited),
    }
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
    """Put a fresh, signed shop identifier into the form."""
    site_id = services.free_site_id()
    form.initial["site_id"] = _signer(request).sign(site_id)
    if form.is_bound:
        data = request.POST.copy()
        data["site_id"] = form.initial["site_id"]
        form.data = data
    return site_id


def _opened(request: CompanyRequest, form: NewShopForm, site_id: str, inherited: str) -> Shop | None:
    """The shop of the form, opened now or by the same form before; None when refused. Raises Unconfirmed."""
    mine = shops_of(request.membership).filter(site_id=site_id)
    shop = mine.first()
    if shop is None and (done := _open(request, form, site_id)):
        shop = done.answer
        told = _("La boutique %(shop)s est créée ; un e-mail l'annonce à %(email)s.")
        told %= {"shop": shop.name, "email": shop.manager_email or inherited}
        messages.success(request, format_html("{} {}", told, done.sentence))
    # None: refused, or the same form arrived twice at once and the other one was faster.
    return shop or mine.first()


def _open(request: CompanyRequest, form: NewShopForm, site_id: str) -> effects.Saved[Shop] | None:
    fields = {name: form.cleaned_data[name] for name in form.SAVED}
    opened = shops_of(request.membership).filter(site_id=site_id)
    try:
        return effects.saved(
            lambda: company_facts(request.company, shops=opened.all(), accounts=False),
            lambda: services.shop_open(
                membership=request.membership,
                actor=Actor.of(request),
                contracts=form.cleaned_data["contracts"],
                site_id=site_id,
                **fields,
            ),
            actor=Actor.of(request),
            company=request.company,
            confirmed=request.POST.get(effects.CONFIRMED, ""),
        )
    except IntegrityError:
        return None
    except effects.Unconfirmed:
        raise
    except ValidationError as error:
        # A taken identifier is told by the caller, who offers another.
        if not hasattr(error, "error_dict") or set(error.error_dict) != {"site_id"}:
            add_errors(form, error)
        return None


def _effect_of_new(request: CompanyRequest, form: NewShopForm, site_id: str) -> EffectPanel:
    """What opening the shop would change; it follows one's typing, so it writes nothing. Only this shop is computed."""
    typed = form.cleaned_data
    email = typed["manager_email"]
    before = company_facts(request.company, shops=[], accounts=False, also=filter(None, [email]))
    after = _with_new_shop(before, email, site_id=site_id, name=typed["name"], language=typed["language"])
    return effects.compared(before, after)


def _with_new_shop(
    facts: CompanyFacts, manager_email: str, *, site_id: str = "00000000", name: str = "", language: str = ""
) -> CompanyFacts:
    """Return the facts with one more shop that has the default rules."""
    rules = tuple(
        RuleFacts(
            rule.reference,
            rule.type,
            str(rule.label),
            rule.enabled,
            rule.triggers,
            recipients=() if rule.type == RuleType.BUYER_EMAIL else (SHOP_MANAGER_SYMBOL,),
        )
        for rule in DEFAULT_RULES
    )
    new = ShopFacts(
        site_id, name or _("Nouvelle boutique"), language or facts.language, manager_email or None, rules=rules
    )
    return replace(facts, shops=(*facts.shops, new))


def _new_shop_panels(request: CompanyRequest, email: str) -> list[impact.Panel]:
    return impact.panels(
        _with_new_shop(visible_facts(request.company, request.membership, why_not=False), email), filter(None, [email])
    )


def _new_shop_panel(request: CompanyRequest, email: str) -> HttpResponse:
    return render(request, "companies/address_panel.html", {"panels": _new_shop_panels(request, email)})


# --- Configuration --------------------------------------------------------------------------------


@company_page()
@get_and_post
def configuration(request: CompanyRequest, site_id: str) -> HttpResponse:
    shop = shop_or_404(request, site_id)
    may_edit = access.can(request.membership, permissions.EDIT_SETTINGS, shop)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    contacts = contacts_of(request.company)
    inherited = contacts.get(Contact.Kind.MANAGER, "")
    if "preview" in request.GET:
        return _manager_panel(request, site_id, inherited)
    data: Any = None
    if request.method == "POST":
        data = request.POST.copy()
        if "inherit" in data:
            data["manager_email"] = ""
    form = ShopForm(data, shop=shop, inherited=inherited)
    effect, question = effects.EMPTY, None
    if only_asks(request):
        effect = _effect(request, shop, form) if form.is_valid() else effects.refused()
        if wants_part(request):
            return effects.panel_alone(request, effect)
    elif data is not None and form.is_valid():
        try:
            if _save(request, shop, form):
                return redirect("shop_configuration", site_id)
        except effects.Unconfirmed as error:
            question = error.question
            add_errors(form, error)
    if not may_edit:
        read_only(form)
    if data is not None:
        # As it is stored: the form has written what was typed into the other.
        shop = shop_or_404(request, site_id)
    facts = visible_facts(request.company, request.membership, contacts=contacts)
    rules = _rules_of(facts, site_id)
    steps = selectors.next_steps(
        shop,
        rules=rules,
        manager_email=shop.manager_email or inherited,
        may_manage_keys=access.can(request.membership, permissions.MANAGE_KEYS, shop),
    )
    context = {
        "form": form,
        "shop": shop,
        "steps": steps,
        "may_edit": may_edit,
        "may_bulk": may_edit,
        "may_create": access.can(request.membership, permissions.MANAGE_COMPANY),
        "inherited": inherited,
        "effect": effect,
        "question": question,
        "panels": impact.panels(facts, filter(None, [shop.manager_email or inherited])),
        "panels_are_saved": True,
        "facts": facts,
        "end_rule": next((rule for rule in rules if rule.reference == END_OF_PAYMENT_RULE), None),
        **screens.uncalled(facts, request.membership, screens.Wanted(shop=site_id)),
        "last_change": history.last_change_of_configuration(shop),
    }
    return render(request, "shops/configuration.html", context)


def _rules_of(facts: CompanyFacts, site_id: str) -> tuple[RuleFacts, ...]:
    """The rules of a shop; as any read of a row that is gone, fails where the shop went meanwhile."""
    for shop in facts.shops:
        if shop.site_id == site_id:
            return shop.rules
    raise Shop.DoesNotExist


def _manager_panel(request: CompanyRequest, site_id: str, inherited: str) -> HttpResponse:
    """What the typed address of a shop's manager would receive."""
    own = addresses.bare(request.GET.get("manager_email", "").strip())
    facts = impact.with_shop_manager(visible_facts(request.company, request.membership, why_not=False), site_id, own)
    panels = impact.panels(facts, [own or inherited])
    return render(request, "companies/address_panel.html", {"panels": panels})


def _update(request: CompanyRequest, shop: Shop, form: ShopForm) -> Changes:
    fields = {name: form.cleaned_data[name] for name in form.SAVED}
    return shop_update(shop=shop, actor=Actor.of(request), seen=form.cleaned_data["version"], **fields)


def _facts_now(request: CompanyRequest, shop: Shop) -> CompanyFacts:
    """The facts of the shop alone: a change of its configuration touches no other."""
    return shop_only(shops_of(request.membership).select_related("company").get(pk=shop.pk))


def _effect(request: CompanyRequest, shop: Shop, form: ShopForm) -> EffectPanel:
    """What saving the page would change; it follows one's typing, so it writes nothing and locks nothing."""
    before = _facts_now(request, shop)
    typed = form.cleaned_data
    stored = before.shops[0]
    shop_after = replace(
        stored, name=typed["name"], language=typed["language"], manager_email=typed["manager_email"] or None
    )
    return effects.compared(before, replace(before, shops=(shop_after,)))


def _save(request: CompanyRequest, shop: Shop, form: ShopForm) -> bool:
    """Save the page; False when refused, the reasons in the form. Raises Unconfirmed."""
    try:
        with audit.collected() as written:
            done = effects.saved(
                lambda: _facts_now(request, shop),
                lambda: _update(request, shop, form),
                actor=Actor.of(request),
                company=request.company,
                confirmed=request.POST.get(effects.CONFIRMED, ""),
            )
    except StaleVersion:
        fresh = ShopForm(shop=shops_of(request.membership).get(pk=shop.pk), inherited="")
        conflicts.tell(request, form, fresh, ("shop", shop.pk))
        return False
    except effects.Unconfirmed:
        raise
    except ValidationError as error:
        add_errors(form, error)
        return False
    changes = done.answer
    if not changes:
        messages.info(request, _("Rien n'a changé."))
        return True
    names = ", ".join(str(form.fields[name].label) for name in changes)
    saved = _("Boutique enregistrée. Modifié : %(names)s.") % {"names": names}
    messages.success(
        request, format_html("{} {} {}", saved, done.sentence, undo_link_after(request.membership, written))
    )
    return True
