"""The buyer's pages of an order: no log-in, the order's language, nothing but this one order.

Opening a page changes nothing: mail scanners open every link they see.
"""

import re
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from backoffice.base import ratelimit
from backoffice.base.methods import get_and_post
from backoffice.text import addresses
from shops.models import PaymentOrder
from shops.orders import selectors, services
from shops.orders.forms import ProblemForm

# A person needs longer than this to write a message, and comes back within a day.
FASTEST_SECONDS = 3
OLDEST_SECONDS = 24 * 3600
PROBLEMS_PER_ORDER, PROBLEMS_PER_ADDRESS, PROBLEM_WINDOW = 5, 10, 3600
SIMULATIONS_PER_ORDER, SIMULATION_WINDOW = 30, 3600
PROBLEM_SALT, PAYMENT_SALT = "orders.problem", "orders.payment"

View = Callable[..., HttpResponse]
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}")


def public_order(view: View) -> View:
    """Decorate a buyer's page: the order of the token or a plain 404, in its language and time zone."""

    @wraps(view)
    def wrapped(request: HttpRequest, token: str) -> HttpResponse:
        # What is no token is not asked of the database, which may refuse its characters.
        known = PaymentOrder.objects.select_related("shop__company").filter(token=token)
        order = known.first() if _TOKEN.fullmatch(token) else None
        if order is None:
            raise Http404
        asked = request.GET.get("lang", "")
        language = asked if asked in dict(settings.LANGUAGES) else order.language
        with translation.override(language), timezone.override(order.shop.company.time_zone):
            request.LANGUAGE_CODE = language
            response = view(request, order)
            response.headers["Content-Language"] = language
            response.headers["X-Robots-Tag"] = "noindex, nofollow"
            return response

    return wrapped


def _context(request: HttpRequest, order: PaymentOrder) -> dict[str, Any]:
    facts = selectors.shop_facts(order.shop)
    chosen = request.GET.get("lang", "")
    return {
        "order": order,
        "shop": order.shop,
        "contact": addresses.for_display(selectors.shop_contact(facts)),
        "state": order.state,
        "shop_is_open": selectors.is_open_for_orders(order.shop),
        # Keeps a chosen language on the way through the pages.
        "suffix": f"?lang={chosen}" if chosen in dict(settings.LANGUAGES) else "",
        "language": translation.get_language(),
    }


def _url(name: str, order: PaymentOrder, context: dict[str, Any], **query: str) -> str:
    extra = "".join(f"&{key}={value}" for key, value in query.items())
    url: str = reverse(name, args=[order.token]) + context["suffix"]
    return url + (extra if context["suffix"] else extra.replace("&", "?", 1))


@require_safe
@public_order
def order(request: HttpRequest, order: PaymentOrder) -> HttpResponse:
    """The buyer's page of an order; in TEST mode with the simulator."""
    context = _context(request, order)
    result = request.GET.get("result", "")
    context["result"] = result if result == order.last_result and order.mode == "TEST" else ""
    if order.mode == "TEST" and context["state"] == PaymentOrder.Status.IN_PROGRESS:
        context["form_token"] = signing.dumps([str(order.pk), secrets.token_hex(16)], salt=PAYMENT_SALT)
    gone = context["state"] in (PaymentOrder.Status.EXPIRED, PaymentOrder.Status.CANCELLED)
    return render(request, "shops/orders/public_order.html", context, status=410 if gone else 200)


@require_POST
@public_order
def pay(request: HttpRequest, order: PaymentOrder) -> HttpResponse:
    """The TEST simulator: one payment per form, however often it is sent."""
    context = _context(request, order)
    result = request.POST.get("result", "")
    try:
        key, nonce = signing.loads(request.POST.get("form", ""), salt=PAYMENT_SALT, max_age=OLDEST_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        key, nonce = "", ""
    if order.mode != "TEST" or result not in PaymentOrder.Result.values or key != str(order.pk):
        return redirect(_url("payment_order_public", order, context))
    if not ratelimit.allow("order-simulation", order.token, limit=SIMULATIONS_PER_ORDER, seconds=SIMULATION_WINDOW):
        response = render(request, "shops/orders/public_limit.html", context, status=429)
        response.headers["Retry-After"] = str(SIMULATION_WINDOW)
        return response
    try:
        services.payment_order_simulate(order=order, result=result, nonce=nonce)
    except ValidationError:
        # Paid, cancelled or expired since the page was opened: the page says which.
        return redirect(_url("payment_order_public", order, context))
    return redirect(_url("payment_order_public", order, context, result=result))


@get_and_post
@public_order
def problem(request: HttpRequest, order: PaymentOrder) -> HttpResponse:
    """« Signaler un problème »: one message per form; its answer has a reference to quote."""
    context = _context(request, order)
    if not context["shop_is_open"]:
        # Nothing would be passed on (docs/rules.md 4.12), so nothing is asked.
        return render(request, "shops/orders/public_problem.html", {**context, "form": None})
    if request.method != "POST":
        form = ProblemForm(initial={"form": new_problem_token(order)})
        return render(request, "shops/orders/public_problem.html", {**context, "form": form})
    form = ProblemForm(request.POST)
    valid = form.is_valid()
    nonce = _problem_nonce(form, order) if "form" not in form.errors else _renewed(form, order)
    status = 200
    if valid and nonce and not form.errors:
        taken = services.problem_already_reported(order=order, nonce=nonce)
        if taken or _problem_allowed(request, order):
            report = services.payment_order_report_problem(
                order=order,
                name=form.cleaned_data["name"],
                email=form.cleaned_data["email"],
                message=form.cleaned_data["message"],
                nonce=nonce,
            )
            return redirect(
                _url(
                    "payment_order_problem_done",
                    order,
                    context,
                    report=signing.dumps([str(order.pk), report.reference, report.told], salt=PROBLEM_SALT + ".done"),
                )
            )
        status = 429
        form.add_error(
            None,
            _("Plusieurs messages ont déjà été envoyés depuis une heure. Attendez un peu, ou écrivez à %(contact)s.")
            % {"contact": context["contact"]},
        )
    response = render(request, "shops/orders/public_problem.html", {**context, "form": form}, status=status)
    if status == 429:
        response.headers["Retry-After"] = str(PROBLEM_WINDOW)
    return response


@require_safe
@public_order
def problem_done(request: HttpRequest, order: PaymentOrder) -> HttpResponse:
    """The acknowledgement with its reference, at a signed address."""
    try:
        key, reference, told = signing.loads(request.GET.get("report", ""), salt=PROBLEM_SALT + ".done")
    except (signing.BadSignature, ValueError, TypeError):
        key = ""
    if key != str(order.pk):
        raise Http404
    context = _context(request, order) | {"reference": reference, "told": told}
    context["extra_query"] = f"&report={request.GET['report']}"
    return render(request, "shops/orders/public_problem_done.html", context)


def new_problem_token(order: PaymentOrder) -> str:
    """Sign order, identity and opening time of a form."""
    return signing.dumps([str(order.pk), secrets.token_hex(16)], salt=PROBLEM_SALT)


def _renewed(form: ProblemForm, order: PaymentOrder) -> str:
    """Give a form a new token, keeping what was typed; the next submission goes through."""
    form.data = form.data.copy()  # type: ignore[attr-defined]
    form.data["form"] = new_problem_token(order)  # type: ignore[index]
    return ""


def _problem_nonce(form: ProblemForm, order: PaymentOrder) -> str:
    """The identity of the submitted form; empty, with an error in the form, when it cannot be taken."""
    sent = form.data.get("form", "")
    try:
        key, nonce = signing.loads(sent, salt=PROBLEM_SALT, max_age=OLDEST_SECONDS)
        if key != str(order.pk):
            raise signing.BadSignature
    except (signing.BadSignature, ValueError, TypeError):
        form.add_error(
            None, _("Cette page est restée ouverte trop longtemps. Vérifiez votre message, puis envoyez-le.")
        )
        return _renewed(form, order)
    try:
        signing.loads(sent, salt=PROBLEM_SALT, max_age=FASTEST_SECONDS)
    except signing.SignatureExpired:
        return str(nonce)
    form.add_error(None, _("Le message est parti trop vite pour être lu. Relisez-le, puis envoyez-le de nouveau."))
    return ""


def _problem_allowed(request: HttpRequest, order: PaymentOrder) -> bool:
    ip = ratelimit.visitor(request)
    return ratelimit.allow(
        "order-problem-ip", ip, limit=PROBLEMS_PER_ADDRESS, seconds=PROBLEM_WINDOW
    ) and ratelimit.allow("order-problem", order.token, limit=PROBLEMS_PER_ORDER, seconds=PROBLEM_WINDOW)
