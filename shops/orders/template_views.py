"""Message templates of payment orders."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from backoffice.base.forms import add_errors, carried_number
from backoffice.base.methods import get_and_post
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.rights import permissions
from companies.rights.access import CompanyRequest, company_page, open_shops_of, refuse_where_all_is_closed, shop_or_404
from shops.models import PaymentOrder, PaymentOrderTemplate, Shop
from shops.orders import selectors, services, text
from shops.orders.form_views import starting_texts
from shops.orders.forms import TemplateForm


def _template_shop(request: CompanyRequest, site_id: str) -> Shop:
    return shop_or_404(request, site_id, permissions.MANAGE_PAYMENT_ORDERS)


def _template_or_404(shop: Shop, key: int) -> PaymentOrderTemplate:
    template = selectors.templates(shop).select_related("shop__company").filter(pk=key).first()
    if template is None:
        raise Http404
    return template


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@require_safe
def templates(request: CompanyRequest) -> HttpResponse:
    """« Modèles »: the message templates of a shop."""
    mine = list(open_shops_of(request.membership, permissions.MANAGE_PAYMENT_ORDERS))
    if not mine:
        refuse_where_all_is_closed(request.membership, permissions.MANAGE_PAYMENT_ORDERS)
    site_id = request.GET.get("shop", "") or (mine[0].site_id if mine else "")
    shop = _template_shop(request, site_id) if site_id else None
    rows = list(selectors.templates(shop)) if shop else []
    return render(request, "shops/orders/templates.html", {"shops": mine, "shop": shop, "templates": rows})


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@get_and_post
def template_edit(request: CompanyRequest, site_id: str, key: int | None = None) -> HttpResponse:
    shop = _template_shop(request, site_id)
    if conflicts.told_of_removal(request, shop_id=shop.pk, kind="paymentordertemplate", key=key):
        return redirect(f"{reverse('payment_order_templates')}?shop={shop.site_id}")
    template = _template_or_404(shop, key) if key is not None else None
    if template is not None:
        initial: dict[str, Any] = {name: getattr(template, name) for name in (*TemplateForm.SAVED, "version")}
    else:
        initial = {"language": shop.language, **starting_texts(None, shop, PaymentOrder.Channel.EMAIL, shop.language)}
    form = TemplateForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        fields = {name: form.cleaned_data[name] for name in TemplateForm.SAVED}
        try:
            saved = services.order_template_save(
                shop=shop,
                actor=Actor.of(request),
                template=template,
                seen=form.cleaned_data["version"],
                **fields,
            )
        except StaleVersion:
            assert template
            template = _template_or_404(shop, template.pk)
            initial = {name: getattr(template, name) for name in (*TemplateForm.SAVED, "version")}
            conflicts.tell(request, form, TemplateForm(initial=initial), ("paymentordertemplate", template.pk))
        except ValidationError as error:
            add_errors(form, error)
        else:
            messages.success(request, _("Modèle « %(name)s » enregistré.") % {"name": saved.name})
            return redirect(f"{reverse('payment_order_templates')}?shop={shop.site_id}")
    context = {"form": form, "shop": shop, "template": template, "placeholders": text.PLACEHOLDERS}
    return render(request, "shops/orders/template_form.html", context)


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@require_POST
def template_duplicate(request: CompanyRequest, site_id: str, key: int) -> HttpResponse:
    template = _template_or_404(_template_shop(request, site_id), key)
    copy = services.order_template_duplicate(template=template, actor=Actor.of(request))
    messages.success(request, format_html(_("Copie créée : {}."), copy.name))
    return redirect("payment_order_template", site_id=site_id, key=copy.pk)


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@get_and_post
def template_delete(request: CompanyRequest, site_id: str, key: int) -> HttpResponse:
    shop = _template_shop(request, site_id)
    back = f"{reverse('payment_order_templates')}?shop={site_id}"
    if conflicts.told_of_removal(request, shop_id=shop.pk, kind="paymentordertemplate", key=key):
        return redirect(back)
    template = _template_or_404(shop, key)
    conflict = None
    if request.method == "POST":
        try:
            services.order_template_delete(
                template=template, actor=Actor.of(request), seen=carried_number(request, "seen")
            )
        except StaleVersion:
            template = _template_or_404(template.shop, key)
            conflict = conflicts.conflict(request, ("paymentordertemplate", template.pk), is_form=False)
        else:
            messages.success(request, _("Modèle « %(name)s » supprimé.") % {"name": template.name})
            return redirect(back)
    context = {
        "title": _("Supprimer le modèle « %(name)s » ?") % {"name": template.name},
        "sentence": _("Les ordres déjà créés gardent leur message. Les prochains n'auront plus ce modèle."),
        "action": _("Supprimer"),
        "danger": True,
        "back": back,
        "seen": template.version,
        "conflict": conflict,
    }
    return render(request, "companies/confirm.html", context)
