"""The buyer's page of a data collection form, without log-in, and its preview for the merchant.

Kept from machines like the form for problems with an order: a field that people do not see, a signed
page that is neither too young nor too old, an identity per page, limits per visitor and per form.
"""

import secrets
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from backoffice.base import ratelimit
from backoffice.base.methods import get_and_post
from backoffice.text import addresses
from shops import dataform_content as content
from shops.dataform_content import Content
from shops.dataforms import selectors, services
from shops.dataforms.forms import AnswerForm
from shops.models import DataCollectionForm, DataFormVersion
from shops.orders.selectors import is_open_for_orders, shop_contact, shop_facts

# A person needs longer than this to fill in a form, and comes back within a day.
FASTEST_SECONDS = 3
OLDEST_SECONDS = 24 * 3600
ANSWERS_PER_ADDRESS, ADDRESS_WINDOW = 20, 3600
ANSWERS_PER_FORM, FORM_WINDOW = 30, 300
SALT = "dataforms.answer"


@get_and_post
def form(request: HttpRequest, token: str) -> HttpResponse:
    """The live version of the form of that link; a plain 404 where none was ever online."""
    data_form = selectors.by_token(token)
    if data_form is None:
        raise Http404
    version = selectors.live_version(data_form)
    if version is None and not selectors.versions(data_form).filter(state__in=DataFormVersion.PUBLISHED).exists():
        raise Http404
    return _answer(request, data_form, version, selectors.content_of(version) if version else None)


@get_and_post
def preview(request: HttpRequest, signed: str) -> HttpResponse:
    """The draft as a buyer sees it, by signed link; answers make TEST orders.

    Of a version, it shows the page only.
    """
    previewed = selectors.by_preview_token(signed)
    if previewed is None:
        raise Http404
    data_form, version = previewed
    shape = selectors.content_of(version) if version else selectors.draft_of(data_form)
    return _answer(request, data_form, version, shape, previews=True)


def _answer(
    request: HttpRequest,
    data_form: DataCollectionForm,
    version: DataFormVersion | None,
    shape: Content | None,
    *,
    previews: bool = False,
) -> HttpResponse:
    shop = data_form.shop
    asked = request.GET.get("lang", "")
    language = asked if asked in dict(settings.LANGUAGES) else shop.language
    with translation.override(language), timezone.override(shop.company.time_zone):
        request.LANGUAGE_CODE = language
        response = _page(request, data_form, version, shape, previews=previews)
    response.headers["Content-Language"] = language
    response.headers["Referrer-Policy"] = "no-referrer" if previews else "same-origin"
    if previews or shape is None:
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _page(
    request: HttpRequest,
    data_form: DataCollectionForm,
    version: DataFormVersion | None,
    shape: Content | None,
    *,
    previews: bool,
) -> HttpResponse:
    shop = data_form.shop
    trial = previews and version is None
    chosen = request.GET.get("lang", "")
    context: dict[str, Any] = {
        "shop": shop,
        "contact": addresses.for_display(shop_contact(shop_facts(shop))),
        "language": translation.get_language(),
        "suffix": f"?lang={chosen}" if chosen in dict(settings.LANGUAGES) else "",
        "previews": previews,
        "trial": trial,
        "mode": "TEST" if trial else "",
    }
    if shape is None:
        return render(request, "shops/dataforms/public_gone.html", context, status=410)
    problems = content.missing(shape) if previews else []
    context |= {
        "shape": shape,
        "title": content.in_language(shape.title) or shop.name,
        "intro": content.in_language(shape.intro),
        "problems": problems,
        "takes": not previews or (trial and not problems),
    }
    if not is_open_for_orders(shop):
        # Nothing could be paid (docs/rules.md 4.12), so nothing is asked.
        return render(request, "shops/dataforms/public_closed.html", context)
    if request.method == "POST" and context["takes"]:
        return _take(request, data_form, version, AnswerForm(request.POST, shape=shape, shop_name=shop.name), context)
    empty = AnswerForm(initial={"form": new_page_token(data_form)}, shape=shape, shop_name=shop.name)
    return render(request, "shops/dataforms/public_form.html", context | {"form": empty})


def _take(
    request: HttpRequest,
    data_form: DataCollectionForm,
    version: DataFormVersion | None,
    filled: AnswerForm,
    context: dict[str, Any],
) -> HttpResponse:
    """Store an answer and redirect to its payment, or show the form again with its errors."""
    nonce = _nonce(filled, data_form)
    status = 200
    if nonce and filled.is_valid():
        if not services.answer_is_known(nonce) and not _allowed(request, data_form):
            status = 429
            filled.add_error(
                None,
                _("Ce formulaire a été envoyé beaucoup de fois en peu de temps. Attendez un peu, puis renvoyez-le."),
            )
        else:
            try:
                answer = services.answer_take(
                    form=data_form,
                    version=version,
                    values=filled.values(),
                    amount=filled.amount(),
                    language=str(context["language"]),
                    nonce=nonce,
                )
            except ValidationError as error:
                filled.add_error(None, error.messages)
            else:
                return redirect(reverse("payment_order_public", args=[answer.order.token]) + context["suffix"])
    response = render(request, "shops/dataforms/public_form.html", context | {"form": filled}, status=status)
    if status == 429:
        response.headers["Retry-After"] = str(FORM_WINDOW)
    return response


def new_page_token(data_form: DataCollectionForm) -> str:
    """Signs a page: whose form it is, its identity, and by its time stamp when it was opened."""
    return signing.dumps([data_form.token, secrets.token_hex(16)], salt=SALT)


def _nonce(filled: AnswerForm, data_form: DataCollectionForm) -> str:
    """The identity of the submitted page; empty, with an error in the form, when it cannot be taken."""
    sent = filled.data.get("form", "")
    try:
        token, nonce = signing.loads(sent, salt=SALT, max_age=OLDEST_SECONDS)
        if token != data_form.token:
            raise signing.BadSignature
    except (signing.BadSignature, ValueError, TypeError):
        filled.add_error(
            None, _("Cette page est restée ouverte trop longtemps. Vérifiez vos réponses, puis envoyez-les.")
        )
        # What was typed stays; the next submission goes through.
        filled.data = filled.data.copy()  # type: ignore[attr-defined]
        filled.data["form"] = new_page_token(data_form)  # type: ignore[index]
        return ""
    try:
        signing.loads(sent, salt=SALT, max_age=FASTEST_SECONDS)
    except signing.SignatureExpired:
        return str(nonce)
    filled.add_error(None, _("Le formulaire est parti trop vite pour être lu. Relisez-le, puis envoyez-le de nouveau."))
    return ""


def _allowed(request: HttpRequest, data_form: DataCollectionForm) -> bool:
    ip = ratelimit.visitor(request)
    return ratelimit.allow("data-form-ip", ip, limit=ANSWERS_PER_ADDRESS, seconds=ADDRESS_WINDOW) and ratelimit.allow(
        "data-form", data_form.token, limit=ANSWERS_PER_FORM, seconds=FORM_WINDOW
    )
