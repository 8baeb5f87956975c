"""What can be done with a payment order, each on a page that asks first."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from backoffice.base.forms import add_errors, carried_number
from backoffice.base.methods import get_and_post
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.rights import permissions
from companies.rights.access import CompanyRequest, company_page
from shops.models import PaymentOrder
from shops.orders import services, wording
from shops.orders.forms import ValidityForm
from shops.orders.scope import order_or_404


@company_page(permissions.MANAGE_PAYMENT_ORDERS)
@get_and_post
def order_validity(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Modifier la date de validité »."""
    order = order_or_404(request, key, manage=True)
    form = ValidityForm(
        request.POST or None, order=order, initial={"valid_until": order.valid_until, "version": order.version}
    )
    if order.state not in PaymentOrder.OPEN:
        messages.error(request, _("Cet ordre est finalisé ou annulé : sa date de validité ne peut plus changer."))
        return redirect("payment_order", key=order.pk)
    if request.method == "POST" and form.is_valid():
        try:
            changed = services.payment_order_set_validity(
                order=order,
                actor=Actor.of(request),
                seen=form.cleaned_data["version"],
                valid_until=form.cleaned_data["valid_until"],
            )
        except StaleVersion:
            order = order_or_404(request, key, manage=True)
            fresh = ValidityForm(order=order, initial={"valid_until": order.valid_until, "version": order.version})
            conflicts.tell(request, form, fresh, ("paymentorder", order.pk))
        except ValidationError as error:
            add_errors(form, error)
        else:
            messages.success(
                request,
                _("L'ordre est valable jusqu'au %(date)s. Rien n'a été renvoyé ; le lien reste le même.")
                % {"date": wording.day(changed.valid_until)},
            )
            return redirect("payment_order", key=order.pk)
    return render(request, "shops/orders/order_validity.html", {"form": form, "order": order})


def _action(service: Callable[..., PaymentOrder], action: str) -> Callable[..., HttpResponseBase]:
    """A page that asks, naming the order and what follows, then does it."""

    @company_page(permissions.MANAGE_PAYMENT_ORDERS)
    @get_and_post
    def view(request: CompanyRequest, key: UUID) -> HttpResponse:
        order = order_or_404(request, key, manage=True)
        words = wording.confirmation(action, order)
        conflict = None
        if request.method == "POST":
            try:
                service(order=order, actor=Actor.of(request), seen=carried_number(request, "seen"))
            except StaleVersion:
                order = order_or_404(request, key, manage=True)
                if request.path not in {item.url for item in wording.actions(order)}:
                    conflicts.tell_by_message(request, ("paymentorder", order.pk))
                    return redirect("payment_order", key=order.pk)
                words = wording.confirmation(action, order)
                conflict = conflicts.conflict(request, ("paymentorder", order.pk), is_form=False)
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
            else:
                messages.success(request, words.done)
            if conflict is None:
                return redirect("payment_order", key=order.pk)
        context = {
            "title": words.title,
            "sentence": words.sentence,
            "action": words.button,
            "danger": action == "cancel",
            "back": reverse("payment_order", args=[order.pk]),
            "seen": order.version,
            "conflict": conflict,
        }
        return render(request, "companies/confirm.html", context)

    return view


order_resend = _action(services.payment_order_resend, "resend")
order_cancel = _action(services.payment_order_cancel, "cancel")
order_reactivate = _action(services.payment_order_reactivate, "reactivate")
order_handed_over = _action(services.payment_order_handed_over, "handed-over")
