"""« Vérifier » and « Réactiver » on the page of an address, and the page behind the link of a verification mail."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from backoffice.base.methods import get_and_post
from backoffice.text import addresses, zones
from companies.audit import Actor
from companies.rights import permissions
from companies.rights.access import CompanyRequest, company_page
from notifications import readers, settings_facts
from notifications.core import resolver
from notifications.core.address_health import AddressState, Cause
from notifications.health import recording, verification
from notifications.mail import verify_links
from notifications.models import AddressHealth, Delivery


@company_page(permissions.MANAGE_COMPANY)
@require_POST
def address_verify(request: CompanyRequest) -> HttpResponse:
    """« Vérifier »: send the mail whose link confirms the address."""
    return _done(request, _verify)


@company_page(permissions.MANAGE_COMPANY)
@require_POST
def address_reactivate(request: CompanyRequest) -> HttpResponse:
    """« Réactiver »: send to a suppressed address again."""
    return _done(request, _reactivate)


def _done(request: CompanyRequest, act: Callable[[CompanyRequest, str], str]) -> HttpResponse:
    """Act on an address of the settings that the user sees; any other one is a plain 404."""
    key = addresses.normalise(request.POST.get("address", ""))
    seen = resolver.roles(settings_facts.visible_facts(request.company, request.membership))
    if key not in seen:
        raise Http404
    email = seen[key][0]
    try:
        messages.success(request, act(request, email))
    except ValidationError as error:
        messages.warning(request, " ".join(error.messages))
    return redirect(reverse("addresses", query={"address": email}) + "#chosen")


def _verify(request: CompanyRequest, email: str) -> str:
    verification.verification_ask(company=request.company, address=email, actor=Actor.of(request))
    return _("Un e-mail de vérification part vers %(address)s. Son lien confirme l'adresse.") % {"address": email}


def _reactivate(request: CompanyRequest, email: str) -> str:
    done = recording.address_reactivate(
        company=request.company, normalised=addresses.normalise(email), actor=Actor.of(request)
    )
    if not done:
        raise ValidationError(_("%(address)s n'est pas neutralisée : il n'y a rien à réactiver.") % {"address": email})
    return _("%(address)s est réactivée : ses notifications partent de nouveau.") % {"address": email}


# --- The link of a verification mail --------------------------------------------------------------


@get_and_post
def verify_address(request: HttpRequest, token: str) -> HttpResponse:
    """Confirm an address. Only the POST does: mail scanners open every link they see."""
    key = verify_links.read_token(token)
    delivery = readers.delivery_of_link(key) if key else None
    if delivery is None or delivery.message is None or delivery.company is None:
        raise Http404
    chosen = request.user.is_authenticated or settings.LANGUAGE_COOKIE_NAME in request.COOKIES
    language = translation.get_language() if chosen else delivery.message.language
    zone = zones.known(delivery.company.time_zone, settings.TIME_ZONE)
    with translation.override(language), timezone.override(zone):
        request.LANGUAGE_CODE = language
        response = _confirmed(request, delivery)
    # The address of the page is a key: it goes to no other site, and into no index.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Content-Language"] = language or settings.LANGUAGE_CODE
    return response


def _confirmed(request: HttpRequest, delivery: Delivery) -> HttpResponse:
    assert delivery.company
    context = {"delivery": delivery, "company": delivery.company, "days": verify_links.DAYS}
    if verify_links.is_expired(delivery):
        return render(request, "notifications/health/verify_expired.html", context, status=410)
    if request.method == "POST":
        recording.address_verified(
            company=delivery.company,
            normalised=delivery.normalised_address,
            cause=Cause.LINK,
            actor=Actor(delivery.address, ip_address=request.META.get("REMOTE_ADDR") or None),
        )
        return redirect(request.path)
    states = AddressHealth.objects.filter(company=delivery.company, normalised_address=delivery.normalised_address)
    context["is_verified"] = states.filter(state=AddressState.VERIFIED).exists()
    return render(request, "notifications/health/verify.html", context)
