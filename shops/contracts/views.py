"""Contracts (MID): Paramétrage > Boutique > Contrats, and Paramétrage > Société > Authentification."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from backoffice.base import csv_files
from backoffice.base.forms import add_errors
from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate, sort_key
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page, shop_or_404
from shops import selectors, services
from shops.forms import ContractForm
from shops.models import Contract, Shop

NETWORKS = ("CB", "VISA", "MASTERCARD", "AMEX", "MAESTRO", "SEPA", "PAYPAL")


# --- Association contrats -------------------------------------------------------------------------


@company_page()
@require_safe
def contracts(request: CompanyRequest, site_id: str) -> HttpResponse:
    shop = shop_or_404(request, site_id)
    q = request.GET.get("q", "").strip()[:254]
    rows = selectors.contracts_filtered(selectors.contracts_in(shop), q=q)
    sorts = {"number": "number", "network": "network"}
    page = paginate(request, rows.order_by(sort_key(request, sorts, default="number"), "pk"))
    may_edit = access.can(request.membership, permissions.EDIT_SETTINGS, shop)
    return render(request, "shops/contracts/contracts.html", {"shop": shop, "page": page, "q": q, "may_edit": may_edit})


@company_page()
@get_and_post
def contract_edit(request: CompanyRequest, site_id: str, key: int | None = None) -> HttpResponse:
    shop = shop_or_404(request, site_id, permissions.EDIT_SETTINGS)
    if conflicts.told_of_removal(request, shop_id=shop.pk, kind="contract", key=key):
        return redirect("shop_contracts", site_id)
    contract = get_object_or_404(selectors.contracts_in(shop), pk=key) if key else None
    form = ContractForm(request.POST if request.method == "POST" else None, contract=contract)
    if request.method == "POST" and form.is_valid() and _save(request, shop, contract, form):
        return redirect("shop_contracts", site_id)
    locked = contract is not None and contract.three_d_secure
    context = {"shop": shop, "contract": contract, "form": form, "networks": NETWORKS, "locked": locked}
    return render(request, "shops/contracts/contract_form.html", context)


def _save(request: CompanyRequest, shop: Shop, contract: Contract | None, form: ContractForm) -> bool:
    values = {name: form.cleaned_data[name] for name in form.SAVED}
    try:
        if contract is None:
            services.contract_create(shop=shop, actor=Actor.of(request), **values)
            text = _("Le contrat %(number)s (%(network)s) est associé à la boutique.")
        elif services.contract_update(
            contract=contract, actor=Actor.of(request), seen=form.cleaned_data["seen"] or None, **values
        ):
            text = _("Le contrat %(number)s (%(network)s) est enregistré.")
        else:
            text = _("Rien n'a changé.")
    except StaleVersion:
        assert contract is not None
        contract.refresh_from_db()
        conflicts.tell(request, form, ContractForm(contract=contract), ("contract", contract.pk))
        return False
    except ValidationError as error:
        add_errors(form, error)
        return False
    messages.success(request, text % values)
    return True


@company_page()
@get_and_post
def contract_remove(request: CompanyRequest, site_id: str, key: int) -> HttpResponse:
    shop = shop_or_404(request, site_id, permissions.EDIT_SETTINGS)
    if conflicts.told_of_removal(request, shop_id=shop.pk, kind="contract", key=key):
        return redirect("shop_contracts", site_id)
    contract = get_object_or_404(selectors.contracts_in(shop), pk=key)
    conflict = None
    if request.method == "POST":
        try:
            services.contract_remove(contract=contract, actor=Actor.of(request), seen=request.POST.get("seen"))
        except StaleVersion:
            contract.refresh_from_db()
            conflict = conflicts.conflict(request, ("contract", contract.pk), is_form=False)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, _("Le contrat %(contract)s est retiré.") % {"contract": contract})
        if conflict is None:
            return redirect("shop_contracts", site_id)
    if use := selectors.contract_use(contract):
        told = _("Le contrat %(contract)s ne peut pas être retiré. %(reason)s")
        messages.error(request, told % {"contract": contract, "reason": use})
        return redirect("shop_contracts", site_id)
    sentence = _("Le contrat %(contract)s n'est plus associé à la boutique %(shop)s, qui ne peut plus s'en servir.")
    context = {
        "title": _("Retirer un contrat"),
        "sentence": sentence % {"contract": contract, "shop": shop.name},
        "action": _("Retirer"),
        "back": reverse("shop_contracts", args=[site_id]),
        "seen": services.contract_stamp(contract),
        "conflict": conflict,
    }
    return render(request, "companies/confirm.html", context)


# --- Authentification: 3D Secure ------------------------------------------------------------------


@company_page()
@require_safe
def authentication(request: CompanyRequest) -> HttpResponseBase:
    mine = selectors.contracts_of(request.membership)
    values = {name: request.GET.get(name, "").strip()[:254] for name in ("q", "network", "secure")}
    contracts = selectors.contracts_filtered(mine, **values)
    sorts = {"number": "number", "shop": "shop__name", "network": "network", "secure": "three_d_secure"}
    contracts = contracts.order_by(sort_key(request, sorts, default="number"), "network", "pk")
    if request.GET.get("format") == "csv":
        return csv_files.csv_response(
            _rows(contracts), f"3d-secure-{request.company.reference}", plain=csv_files.is_plain(request)
        )
    page = paginate(request, contracts)
    context = {
        "page": page,
        "rows": [
            (contract, access.can(request.membership, permissions.EDIT_SETTINGS, contract.shop)) for contract in page
        ],
        "values": values,
        "active": any(values.values()),
        "networks": mine.order_by("network").values_list("network", flat=True).distinct(),
    }
    return render(request, "shops/contracts/authentication.html", context)


def _rows(contracts: QuerySet[Contract]) -> Iterator[list[str]]:
    yield ["number", "network", "site_id", "shop", "three_d_secure"]
    for contract in contracts.iterator(chunk_size=1000):
        cells: list[Any] = [contract.number, contract.network, contract.shop.site_id, contract.shop.name]
        yield [*map(csv_files.neutral, cells), "true" if contract.three_d_secure else "false"]


@company_page()
@get_and_post
def three_d_secure_activate(request: CompanyRequest, key: int) -> HttpResponse:
    contract = get_object_or_404(selectors.contracts_of(request.membership), pk=key)
    if not access.can(request.membership, permissions.EDIT_SETTINGS, contract.shop):
        raise access.denied(request, contract.shop)
    told = _("Le 3D Secure est déjà activé sur le contrat %(contract)s.")
    conflict = None
    if request.method == "POST":
        try:
            if services.three_d_secure_activate(
                contract=contract, actor=Actor.of(request), seen=request.POST.get("seen")
            ):
                told = _(
                    "Le 3D Secure est activé sur le contrat %(contract)s ; le gestionnaire de la boutique en est prévenu."
                )
        except StaleVersion:
            contract.refresh_from_db()
            conflict = conflicts.conflict(request, ("contract", contract.pk), is_form=False)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("authentication")
    if (request.method == "POST" and conflict is None) or contract.three_d_secure:
        messages.success(request, told % {"contract": contract})
        return redirect("authentication")
    context = {
        "contract": contract,
        "shop": contract.shop,
        "seen": services.contract_stamp(contract),
        "conflict": conflict,
    }
    return render(request, "shops/contracts/three_d_secure_activate.html", context)
