"""Creating, changing and previewing payment orders."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.clickjacking import xframe_options_sameorigin

from backoffice.base.forms import add_errors
from backoffice.base.methods import get_and_post
from backoffice.text import addresses
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.models import Language
from companies.rights import permissions
from companies.rights.access import CompanyRequest, company_page, open_shops_of, refuse_where_all_is_closed, shop_or_404
from notifications.mail import emails
from notifications.mail.emails import mail_policy
from notifications.models import Delivery, Event
from shops.models import Mode, PaymentOrder, PaymentOrderTemplate, Shop
from shops.orders import selectors, services, text, wording
from shops.orders.forms import OrderForm, new_order_initial, order_initial
from shops.orders.scope import order_or_404


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@get_and_post
def order_new(request: CompanyRequest) -> HttpResponse:
    """« Création d'un ordre de paiement »: shop, channel and mode stand in the URL, the rest in the form."""
    mine = list(open_shops_of(request.membership, permissions.MANAGE_PAYMENT_ORDERS))
    asked = request.GET
    source = None
    if "from" in asked:
        try:
            source = order_or_404(request, UUID(asked["from"]), manage=True)
        except ValueError as error:
            raise Http404 from error
    channel = asked.get("channel", source.channel if source else "")
    channel = channel if channel in PaymentOrder.Channel.values else PaymentOrder.Channel.EMAIL
    site_id = asked.get("shop", source.shop.site_id if source else "")
    if not site_id and len(mine) == 1:
        site_id = mine[0].site_id
    if not site_id:
        refuse_where_all_is_closed(request.membership, permissions.MANAGE_PAYMENT_ORDERS)
        choices = {"shops": mine, "channel": channel, "modes": Mode.choices}
        return render(request, "shops/orders/order_choose_shop.html", choices)
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
            initial |= starting_texts(chosen, shop, channel, initial["language"])
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
        return render(request, "shops/orders/audience.html", context)
    return render(request, "shops/orders/order_form.html", context)


def _typed(data: QueryDict) -> dict[str, Any]:
    """What was typed, as the initial values of an unbound form."""
    return {name: data.get(name, "") for name in data if name != "csrfmiddlewaretoken"}


def starting_texts(template: PaymentOrderTemplate | None, shop: Shop, channel: str, language: str) -> dict[str, str]:
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
    return {**initial, "language": language, **starting_texts(chosen, shop, channel, language)}, chosen


def _create(request: CompanyRequest, form: OrderForm, mode: str) -> list[PaymentOrder]:
    try:
        return services.payment_order_create(
            shop=form.shop,
            actor=Actor.of(request),
            new=services.NewOrder(
                mode=mode,
                channel=form.channel,
                recipients=form.cleaned_data["recipients"],
                send_at=form.cleaned_data.get("send_at"),
                **form.saved(),
            ),
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
    extra = addresses.bare(str(value("extra_copy") or "")) if value("with_extra_copy") else ""
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
@get_and_post
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
            order = order_or_404(request, UUID(request.GET["order"]), manage=True)
        except ValueError as error:
            raise Http404 from error
    if request.method == "POST":
        templates = list(selectors.templates(shop))
        email = PaymentOrder.Channel.EMAIL
        form = OrderForm(request.POST, shop=shop, channel=email, templates=templates, order=order)
        if not form.is_valid():
            return render(request, "shops/orders/preview_invalid.html", {"form": form})
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
    texts = starting_texts(selectors.default_template(shop, language), shop, PaymentOrder.Channel.EMAIL, language)
    until = new_order_initial(shop, language)["valid_until"]
    with translation.override(language):
        reference = _("EXEMPLE-001")
    return PaymentOrder(
        shop=shop, reference=reference, amount=4990, currency="EUR", language=language, valid_until=until, **texts
    )


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@get_and_post
def order_edit(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Modifier et renvoyer »: the same form, for this one order; by e-mail it leaves again."""
    order = order_or_404(request, key, manage=True)
    if order.state not in PaymentOrder.OPEN:
        messages.error(request, _("Cet ordre est finalisé ou annulé : il ne peut plus être modifié."))
        return redirect("payment_order", key=order.pk)
    templates = list(selectors.templates(order.shop))
    options: dict[str, Any] = {"shop": order.shop, "channel": order.channel, "templates": templates, "order": order}
    closed = selectors.closed_reason(order.shop)
    if request.method == "POST" and "use_template" not in request.POST and "audience" not in request.GET:
        form = OrderForm(request.POST, **options)
        if not closed and form.is_valid() and _update(request, form, order):
            return redirect("payment_order", key=order.pk)
    elif request.method == "POST":
        initial, _chosen = _with_template(_typed(request.POST), templates, order.shop, order.channel)
        form = OrderForm(initial=initial, **options)
    else:
        form = OrderForm(initial=order_initial(order), **options)
    context = {
        "form": form,
        "order": order,
        "shop": order.shop,
        "channel": order.channel,
        "by_email": order.channel == PaymentOrder.Channel.EMAIL,
        "mode": order.mode,
        "closed": closed,
        "placeholders": text.PLACEHOLDERS,
        **_audience(order.shop, form, order.channel),
    }
    if request.headers.get("HX-Request") and "audience" in request.GET:
        return render(request, "shops/orders/audience.html", context)
    return render(request, "shops/orders/order_form.html", context)


def _update(request: CompanyRequest, form: OrderForm, opened: PaymentOrder) -> bool:
    try:
        order, changes = services.payment_order_update(
            order=opened,
            actor=Actor.of(request),
            seen=form.cleaned_data["version"] or 0,
            recipient=form.cleaned_data["recipients"] or "",
            **form.saved(),
        )
    except StaleVersion:
        now = order_or_404(request, opened.pk, manage=True)
        fresh = OrderForm(
            initial=order_initial(now),
            shop=now.shop,
            channel=now.channel,
            templates=list(selectors.templates(now.shop)),
            order=now,
        )
        conflicts.tell(request, form, fresh, ("paymentorder", opened.pk))
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
