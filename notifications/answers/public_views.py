"""`/why/<token>/`: the page behind the link of a mail, for its reader, who need not have an account.

Opening it changes nothing: mail scanners open every link they see. It names no address but the reader's own.
"""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from backoffice.base import ratelimit
from backoffice.base.methods import get_and_post
from backoffice.text import zones
from notifications import readers
from notifications.answers import selectors, services
from notifications.answers.mail_words import MailWords
from notifications.mail import why_links
from notifications.models import Delivery

REMARKS_PER_VISITOR, REMARKS_PER_MAIL, WINDOW = 10, 5, 3600

View = Callable[[HttpRequest, Delivery | None], HttpResponse]


def reader_page(view: View) -> Callable[..., HttpResponse]:
    """Decorate a page about one mail: its delivery, None where the link's time is over, else a plain 404.

    In the language of the mail, unless the reader has chosen one here.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, token: str) -> HttpResponse:
        key = why_links.read_token(token)
        delivery = readers.delivery_of_link(key) if key else None
        if delivery is None or delivery.message is None:
            raise Http404
        chosen = request.user.is_authenticated or settings.LANGUAGE_COOKIE_NAME in request.COOKIES
        language = translation.get_language() if chosen else delivery.message.language
        zone = delivery.company.time_zone if delivery.company_id else settings.TIME_ZONE
        with translation.override(language), timezone.override(zones.known(zone, settings.TIME_ZONE)):
            request.LANGUAGE_CODE = language
            response = view(request, None if why_links.is_expired(delivery) else delivery)
        # The address of the page is a key: it goes to no other site, and into no index. Without any referrer browsers
        # would not say where the form comes from, and it would be refused.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["X-Robots-Tag"] = "noindex"
        response.headers["Content-Language"] = language or settings.LANGUAGE_CODE
        return response

    return wrapped


@get_and_post
@reader_page
def why_this_mail(request: HttpRequest, delivery: Delivery | None) -> HttpResponse:
    """What this mail is, by which setting it came, who can change that; and the way to say that it should not come."""
    if delivery is None:
        return render(request, "notifications/answers/why_expired.html", {"days": why_links.DAYS}, status=410)
    error = ""
    if request.method == "POST" and selectors.may_remark(delivery):
        if selectors.is_remarked(delivery) or _allowed(request, delivery):
            services.remark_make(delivery=delivery)
            return redirect(request.path)
        error = _("Plusieurs remarques sont déjà venues d'ici depuis une heure. Revenez un peu plus tard.")
    context = {
        "words": MailWords(delivery),
        "delivery": delivery,
        "may_remark": selectors.may_remark(delivery),
        "is_remarked": selectors.is_remarked(delivery),
        "error": error,
    }
    response = render(request, "notifications/answers/why_mail.html", context, status=429 if error else 200)
    if error:
        response.headers["Retry-After"] = str(WINDOW)
    return response


def _allowed(request: HttpRequest, delivery: Delivery) -> bool:
    return ratelimit.allow(
        "mail-remark", ratelimit.visitor(request), limit=REMARKS_PER_VISITOR, seconds=WINDOW
    ) and ratelimit.allow("mail-remark-of", str(delivery.pk), limit=REMARKS_PER_MAIL, seconds=WINDOW)
