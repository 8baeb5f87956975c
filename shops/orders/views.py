"""Gestion > Ordres de paiement: the list, one order, what can be done with it, and message templates."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backoffice.forms import add_errors, carried_number
from backoffice.paging import paginate, sort_key
from companies import access, conflicts, permissions
from companies.access import CompanyRequest, company_page, shop_or_404, shops_of
from companies.audit import Actor, StaleVersion
from companies.models import Language
from notifications import addresses, emails
from notifications.exports import csv_response
from notifications.models import Delivery, Event
from notifications.views import mail_policy
from shops.models import Shop

from . import exports, selectors, services, text, wording
from .forms import (
    OrderForm,
    SearchForm,
    TemplateForm,
    ValidityForm,
    new_order_initial,
    order_initial,
)
from .models import Mode, PaymentOrder, PaymentOrderTemplate

GET_AND_POST = ["GET", "HEAD", "POST"]
SORTS = {
    "reference": "reference",
    "recipient": "recipient",
    "amount": "amount",
    "created": "created_at",
    "until": "valid_until",
    "shop": "shop__name",
}


def _may_manage(request: CompanyRequest, shop: Shop) -> bool:
    return access.can(request.membership, permissions.MANAGE_PAYMENT_ORDERS, shop)


def _order_or_404(request: CompanyRequest, key: UUID, *, manage: bool = False) -> PaymentOrder:
    """An order of the request's membership, a plain 404 for any other; 403 without the right to act."""
    order = selectors.orders(request.membership).filter(pk=key).first()
    if order is None:
        raise Http404
    if manage and not _may_manage(request, order.shop):
        raise access.denied(request, order.shop)
    return order


# --- The list -------------------------------------------------------------------------------------


@company_page()
@require_safe
def orders(request: CompanyRequest) -> HttpResponseBase:
    """The orders of one mode, newest first, with the search tool."""
    asked = SearchForm(request.GET)
    found = selectors.filtered(selectors.orders(request.membership), now=timezone.now(), **asked.arguments())
    found = found.order_by(sort_key(request, SORTS, default="-created_at"), "reference", "pk")
    if request.GET.get("format") == "csv":
        return csv_response(
            exports.order_rows(found), f"ordres-{asked.wanted_mode.lower()}-{request.company.reference}"
        )
    page = paginate(request, found)
    for order in page.object_list:
        order.sending_state = selectors.send_state(order)
    context = {
        "page": page,
        "asked": asked,
        "mode": asked.wanted_mode,
        "modes": Mode.choices,
        "active": asked.is_active(),
        "more": asked.shows_more(),
        "shops": shops_of(request.membership).only("site_id", "name"),
        "may_create": access.can_somewhere(request.membership, permissions.MANAGE_PAYMENT_ORDERS),
    }
    return render(request, "orders/orders.html", context)


# --- Creating -------------------------------------------------------------------------------------


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@require_http_methods(GET_AND_POST)
def order_new(request: CompanyRequest) -> HttpResponse:
    """« Création d'un ordre de paiement »: shop, channel and mode stand in the URL, the rest in the form."""
    mine = list(shops_of(request.membership, permissions.MANAGE_PAYMENT_ORDERS))
    asked = request.GET
    source = None
    if "from" in asked:
        try:
            source = _order_or_404(request, UUID(asked["from"]), manage=True)
        except ValueError as error:
            raise Http404 from error
    channel = asked.get("channel", source.channel if source else "")
    channel = channel if channel in PaymentOrder.Channel.values else PaymentOrder.Channel.EMAIL
    site_id = asked.get("shop", source.shop.site_id if source else "")
    if not site_id and len(mine) == 1:
        site_id = mine[0].site_id
    if not site_id:
        choices = {"shops": mine, "channel": channel, "modes": Mode.choices}
        return render(request, "orders/order_choose_shop.html", choices)
    shop = shop_or_404(request, site_id, permissions.MANAGE_PAYMENT_ORDERS)
    mode = asked.get("mode", source.mode if source else Mode.PRODUCTION)
    mode = mode if mode in Mode.values else Mode.PRODUCTION
    templates = list(selectors.templates(shop))
    closed = selectors.closed_reason(shop)
    if request.method == "POST" and "use_template" not in request.POST and "audience" not in request.GET:
        form = OrderForm(request.POST, shop=shop, channel=channel, templates=templates)
        if not closed and form.is_valid():
            created = _create(request, form, mode)
            if created:
                return _created(request, created)
    else:
        initial = new_order_initial(shop, shop.language, source)
        chosen = None if source else selectors.default_template(shop, shop.language)
        if request.method == "POST":
            initial = _typed(request.POST)
            initial, chosen = _with_template(initial, templates, shop, channel)
        elif source is None:
            initial["template"] = str(chosen.pk) if chosen else ""
            initial |= _texts(chosen, shop, channel, initial["language"])
        form = OrderForm(initial=initial, shop=shop, channel=channel, templates=templates)
    context: dict[str, Any] = {
        "form": form,
        "shop": shop,
        "shops": mine,
        "channel": channel,
        "by_email": channel == PaymentOrder.Channel.EMAIL,
        "mode": mode,
        "modes": Mode.choices,
        "closed": closed,
        "source": source,
        "placeholders": text.PLACEHOLDERS,
        **_audience(shop, form, channel),
    }
    if request.headers.get("HX-Request") and "audience" in request.GET:
        return render(request, "orders/audience.html", context)
    return render(request, "orders/order_form.html", context)


def _typed(data: QueryDict) -> dict[str, Any]:
    """What was typed, as the initial values of an unbound form."""
    return {name: data.get(name, "") for name in data if name != "csrfmiddlewaretoken"}


def _texts(template: PaymentOrderTemplate | None, shop: Shop, channel: str, language: str) -> dict[str, str]:
    if template is not None:
        return {"subject": template.subject, "body": template.body}
    by_email = channel == PaymentOrder.Channel.EMAIL
    subject, body = text.default_texts(language, by_email=by_email, shop_url=shop.url)
    return {"subject": subject, "body": body}


def _with_template(
    initial: dict[str, Any], templates: list[PaymentOrderTemplate], shop: Shop, channel: str
) -> tuple[dict[str, Any], PaymentOrderTemplate | None]:
    """« Utiliser ce modèle »: subject and body from the template, and its language."""
    chosen = next((item for item in templates if str(item.pk) == initial.get("template")), None)
    language = chosen.language if chosen else initial.get("language", "")
    if language not in Language.values:
        language = shop.language
    return {**initial, "language": language, **_texts(chosen, shop, channel, language)}, chosen


def _create(request: CompanyRequest, form: OrderForm, mode: str) -> list[PaymentOrder]:
    try:
        return services.payment_order_create(
            shop=form.shop,
            actor=Actor.of(request),
            mode=mode,
            channel=form.channel,
            recipients=form.cleaned_data["recipients"],
            send_at=form.cleaned_data.get("send_at"),
            **form.saved(),
        )
    except ValidationError as error:
        add_errors(form, error)
        return []


def _created(request: CompanyRequest, created: list[PaymentOrder]) -> HttpResponse:
    first = created[0]
    if first.channel == PaymentOrder.Channel.URL:
        messages.success(request, _("Ordre créé. Copiez son lien et transmettez-le à l'acheteur."))
        return redirect("payment_order", key=first.pk)
    if first.send_at:
        sentence = ngettext(
            "%(n)d ordre créé ; il partira le %(when)s.",
            "%(n)d ordres créés ; ils partiront le %(when)s.",
            len(created),
        ) % {"n": len(created), "when": wording.moment(first.send_at)}
    else:
        sentence = ngettext(
            "%(n)d ordre créé ; son envoi est en cours.", "%(n)d ordres créés ; leur envoi est en cours.", len(created)
        ) % {"n": len(created)}
    if len(created) > 1:
        messages.success(request, sentence)
        return redirect(f"{reverse('payment_orders')}?mode={first.mode}&q={first.reference[:-4]}")
    messages.success(request, sentence)
    return redirect("payment_order", key=first.pk)


def _audience(shop: Shop, form: OrderForm, channel: str) -> dict[str, Any]:
    """« Qui recevra quoi » for the values of a form, typed or initial."""

    def value(name: str) -> Any:
        return form[name].value() if name in form.fields else ""

    typed = value("recipients") or ""
    recipients = []
    for piece in typed if isinstance(typed, list) else addresses.split(str(typed)):
        try:
            recipients.append(addresses.validate(piece))
        except addresses.InvalidAddress:
            continue
    extra = str(value("extra_copy") or "") if value("with_extra_copy") else ""
    try:
        extra = addresses.validate_single(extra) if extra else ""
    except addresses.InvalidAddress:
        extra = ""
    facts = selectors.shop_facts(shop)
    rows = selectors.audience(
        facts,
        recipients=addresses.unique(recipients)[:20],
        copy_to_manager=bool(value("copy_to_manager")),
        extra_copy=extra,
        by_email=channel == PaymentOrder.Channel.EMAIL,
    )
    contact = selectors.shop_contact(facts)
    return {"audience": rows, "recipient_count": len(recipients), "audience_contact": contact}


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@require_http_methods(GET_AND_POST)
@xframe_options_sameorigin
def order_preview(request: CompanyRequest, site_id: str) -> HttpResponse:
    """The mail of the order being typed, as the buyer would get it; shown in a frame of the form.

    `?order=` previews a change: the reference, link and creation date are those of that order. A GET
    shows the stored order, or an example with the shop's default message.
    """
    shop = shop_or_404(request, site_id, permissions.MANAGE_PAYMENT_ORDERS)
    mode = request.GET.get("mode", "")
    order = None
    if "order" in request.GET:
        try:
            order = _order_or_404(request, UUID(request.GET["order"]), manage=True)
        except ValueError as error:
            raise Http404 from error
    if request.method == "POST":
        templates = list(selectors.templates(shop))
        email = PaymentOrder.Channel.EMAIL
        form = OrderForm(request.POST, shop=shop, channel=email, templates=templates, order=order)
        if not form.is_valid():
            return render(request, "orders/preview_invalid.html", {"form": form})
        draft = _draft(shop, form)
    else:
        draft = order or _example(shop)
    if order is not None:
        draft.token, draft.created_at, draft.pk, mode = order.token, order.created_at, order.pk, order.mode
    draft.mode = mode if mode in Mode.values else Mode.PRODUCTION
    facts = selectors.shop_facts(shop)
    event = Event(
        company=shop.company,
        shop=shop,
        type="payment_order.sent",
        mode=draft.mode,
        occurred_at=timezone.now(),
        data=services.sending_data(draft, selectors.shop_contact(facts)),
    )
    message = emails.compose(event, "payment_order", draft.language)
    resolution = {"reason": "payment_order_addressee", "params": {}}
    html = emails.filled(Delivery(message=message, resolution=resolution), "")[1]
    response = HttpResponse(html)
    response.headers["Content-Security-Policy"] = mail_policy(html)
    return response


def _draft(shop: Shop, form: OrderForm) -> PaymentOrder:
    """The order of a valid form, not saved; of several recipients the first."""
    values = form.saved()
    recipients = form.cleaned_data["recipients"]
    several = isinstance(recipients, list) and len(recipients) > 1
    reference = values.pop("reference") or services.new_reference(timezone.now())
    return PaymentOrder(
        shop=shop,
        recipient=recipients if isinstance(recipients, str) else recipients[0],
        reference=f"{reference}-001" if several else reference,
        **values,
    )


def _example(shop: Shop) -> PaymentOrder:
    language = shop.language
    texts = _texts(selectors.default_template(shop, language), shop, PaymentOrder.Channel.EMAIL, language)
    until = new_order_initial(shop, language)["valid_until"]
    with translation.override(language):
        reference = _("EXEMPLE-001")
    return PaymentOrder(
        shop=shop, reference=reference, amount=4990, currency="EUR", language=language, valid_until=until, **texts
    )


# --- One order ------------------------------------------------------------------------------------


@company_page()
@require_safe
def order(request: CompanyRequest, key: UUID) -> HttpResponse:
    """Tabs Détails, Message and Historique of one order."""
    found = _order_or_404(request, key)
    tab = request.GET.get("tab", "")
    tab = tab if tab in ("message", "history") else "details"
    facts = selectors.shop_facts(found.shop)
    contact = selectors.shop_contact(facts)
    deliveries = list(selectors.order_deliveries(found)) if tab in ("message", "history") else []
    context: dict[str, Any] = {
        "order": found,
        "shop": found.shop,
        "tab": tab,
        "sending_state": selectors.send_state(found),
        "url": text.public_url(found),
        "contact": contact,
        "closed": selectors.closed_reason(found.shop),
        "actions": wording.actions(found) if _may_manage(request, found.shop) else [],
        "deliveries": deliveries,
    }
    if tab == "details":
        context["audience"] = selectors.audience(
            facts,
            recipients=[found.recipient] if found.recipient else [],
            copy_to_manager=found.copy_to_manager,
            extra_copy=found.extra_copy,
            by_email=found.channel == PaymentOrder.Channel.EMAIL,
        )
    elif tab == "message":
        context["filled"] = text.filled(found, contact)
        context["sent"] = next((item for item in deliveries if item.notification == "payment_order"), None)
    else:
        by_event: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            by_event.setdefault(delivery.event.event_id, []).append(delivery)
        context["entries"] = [
            (entry, wording.entry_sentence(entry), by_event.get(entry.event_id, []) if entry.event_id else [])
            for entry in found.entries.all()
        ]
    return render(request, "orders/order.html", context)


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@require_http_methods(GET_AND_POST)
def order_edit(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Modifier et renvoyer »: the same form, for this one order; by e-mail it leaves again."""
    found = _order_or_404(request, key, manage=True)
    if found.state not in PaymentOrder.OPEN:
        messages.error(request, _("Cet ordre est finalisé ou annulé : il ne peut plus être modifié."))
        return redirect("payment_order", key=found.pk)
    templates = list(selectors.templates(found.shop))
    options: dict[str, Any] = {"shop": found.shop, "channel": found.channel, "templates": templates, "order": found}
    closed = selectors.closed_reason(found.shop)
    if request.method == "POST" and "use_template" not in request.POST and "audience" not in request.GET:
        form = OrderForm(request.POST, **options)
        if not closed and form.is_valid() and _update(request, form, found):
            return redirect("payment_order", key=found.pk)
    elif request.method == "POST":
        initial, _chosen = _with_template(_typed(request.POST), templates, found.shop, found.channel)
        form = OrderForm(initial=initial, **options)
    else:
        form = OrderForm(initial=order_initial(found), **options)
    context = {
        "form": form,
        "order": found,
        "shop": found.shop,
        "channel": found.channel,
        "by_email": found.channel == PaymentOrder.Channel.EMAIL,
        "mode": found.mode,
        "closed": closed,
        "placeholders": text.PLACEHOLDERS,
        **_audience(found.shop, form, found.channel),
    }
    if request.headers.get("HX-Request") and "audience" in request.GET:
        return render(request, "orders/audience.html", context)
    return render(request, "orders/order_form.html", context)


def _update(request: CompanyRequest, form: OrderForm, found: PaymentOrder) -> bool:
    try:
        order, changes = services.payment_order_update(
            order=found,
            actor=Actor.of(request),
            version=form.cleaned_data["version"] or 0,
            recipient=form.cleaned_data["recipients"] or "",
            **form.saved(),
        )
    except StaleVersion:
        now = _order_or_404(request, found.pk, manage=True)
        fresh = OrderForm(
            initial=order_initial(now),
            shop=now.shop,
            channel=now.channel,
            templates=list(selectors.templates(now.shop)),
            order=now,
        )
        conflicts.tell(request, form, fresh, ("paymentorder", found.pk))
        return False
    except ValidationError as error:
        _rename_error(error, "recipient", "recipients")
        add_errors(form, error)
        return False
    if order.channel == PaymentOrder.Channel.EMAIL:
        messages.success(
            request,
            _("Ordre modifié ; il part de nouveau vers %(email)s.") % {"email": order.recipient}
            if changes
            else _("Rien n'a changé ; l'ordre part de nouveau vers %(email)s.") % {"email": order.recipient},
        )
    else:
        messages.success(request, _("Ordre modifié ; son lien reste le même.") if changes else _("Rien n'a changé."))
    return True


def _rename_error(error: ValidationError, before: str, after: str) -> None:
    if hasattr(error, "error_dict") and before in error.error_dict:
        error.error_dict[after] = error.error_dict.pop(before)


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@require_http_methods(GET_AND_POST)
def order_validity(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Modifier la date de validité »."""
    found = _order_or_404(request, key, manage=True)
    form = ValidityForm(
        request.POST or None, order=found, initial={"valid_until": found.valid_until, "version": found.version}
    )
    if found.state not in PaymentOrder.OPEN:
        messages.error(request, _("Cet ordre est finalisé ou annulé : sa date de validité ne peut plus changer."))
        return redirect("payment_order", key=found.pk)
    if request.method == "POST" and form.is_valid():
        try:
            changed = services.payment_order_set_validity(order=found, actor=Actor.of(request), **form.cleaned_data)
        except StaleVersion:
            found = _order_or_404(request, key, manage=True)
            fresh = ValidityForm(order=found, initial={"valid_until": found.valid_until, "version": found.version})
            conflicts.tell(request, form, fresh, ("paymentorder", found.pk))
        except ValidationError as error:
            add_errors(form, error)
        else:
            messages.success(
                request,
                _("L'ordre est valable jusqu'au %(date)s. Rien n'a été renvoyé ; le lien reste le même.")
                % {"date": wording.day(changed.valid_until)},
            )
            return redirect("payment_order", key=found.pk)
    return render(request, "orders/order_validity.html", {"form": form, "order": found})


def _action(service: Callable[..., PaymentOrder], action: str) -> Callable[..., HttpResponseBase]:
    """A page that asks, naming the order and what follows, then does it."""

    @company_page(permissions.MANAGE_PAYMENT_ORDERS)
    @require_http_methods(GET_AND_POST)
    def view(request: CompanyRequest, key: UUID) -> HttpResponse:
        found = _order_or_404(request, key, manage=True)
        words = wording.confirmation(action, found)
        conflict = None
        if request.method == "POST":
            try:
                service(order=found, actor=Actor.of(request), version=carried_number(request, "seen"))
            except StaleVersion:
                found = _order_or_404(request, key, manage=True)
                if request.path not in {item.url for item in wording.actions(found)}:
                    conflicts.tell_by_message(request, ("paymentorder", found.pk))
                    return redirect("payment_order", key=found.pk)
                words = wording.confirmation(action, found)
                conflict = conflicts.conflict(request, ("paymentorder", found.pk), is_form=False)
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
            else:
                messages.success(request, words.done)
            if conflict is None:
                return redirect("payment_order", key=found.pk)
        context = {
            "title": words.title,
            "sentence": words.sentence,
            "action": words.button,
            "danger": action == "cancel",
            "back": reverse("payment_order", args=[found.pk]),
            "seen": found.version,
            "conflict": conflict,
        }
        return render(request, "companies/confirm.html", context)

    return view


order_resend = _action(services.payment_order_resend, "resend")
order_cancel = _action(services.payment_order_cancel, "cancel")
order_reactivate = _action(services.payment_order_reactivate, "reactivate")
order_handed_over = _action(services.payment_order_handed_over, "handed-over")


# --- Message templates ----------------------------------------------------------------------------


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
    mine = list(shops_of(request.membership, permissions.MANAGE_PAYMENT_ORDERS))
    site_id = request.GET.get("shop", "") or (mine[0].site_id if mine else "")
    shop = _template_shop(request, site_id) if site_id else None
    found = list(selectors.templates(shop)) if shop else []
    return render(request, "orders/templates.html", {"shops": mine, "shop": shop, "templates": found})


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@require_http_methods(GET_AND_POST)
def template_edit(request: CompanyRequest, site_id: str, key: int | None = None) -> HttpResponse:
    shop = _template_shop(request, site_id)
    if conflicts.told_of_removal(request, shop_id=shop.pk, kind="paymentordertemplate", key=key):
        return redirect(f"{reverse('payment_order_templates')}?shop={shop.site_id}")
    template = _template_or_404(shop, key) if key is not None else None
    if template is not None:
        initial: dict[str, Any] = {name: getattr(template, name) for name in (*TemplateForm.SAVED, "version")}
    else:
        initial = {"language": shop.language, **_texts(None, shop, PaymentOrder.Channel.EMAIL, shop.language)}
    form = TemplateForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        fields = {name: form.cleaned_data[name] for name in TemplateForm.SAVED}
        try:
            saved = services.order_template_save(
                shop=shop,
                actor=Actor.of(request),
                template=template,
                version=form.cleaned_data["version"],
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
    return render(request, "orders/template_form.html", context)


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@require_POST
def template_duplicate(request: CompanyRequest, site_id: str, key: int) -> HttpResponse:
    template = _template_or_404(_template_shop(request, site_id), key)
    copy = services.order_template_duplicate(template=template, actor=Actor.of(request))
    messages.success(request, format_html(_("Copie créée : {}."), copy.name))
    return redirect("payment_order_template", site_id=site_id, key=copy.pk)


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@require_http_methods(GET_AND_POST)
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
                template=template, actor=Actor.of(request), version=carried_number(request, "seen")
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
