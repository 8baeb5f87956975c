"""Pages without log-in: the state of the services with its feed, and the way out of the letter."""

import hashlib
from datetime import date, datetime
from itertools import groupby
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.feedgenerator import Atom1Feed
from django.utils.http import http_date, quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from backoffice.base.methods import get_and_post
from notifications.broadcasts import incidents, newsletters
from notifications.mail import emails, markup, unsubscribing
from notifications.models import Incident

# Seconds for which caches may keep the state of the services: short enough for an incident.
FRESH_SECONDS = 60


def _language(request: HttpRequest) -> str:
    """`?language=` decides, so that a page and a feed have an address per language; else as everywhere."""
    asked = request.GET.get("language", "")
    return asked if asked in dict(settings.LANGUAGES) else translation.get_language() or settings.LANGUAGE_CODE


def _cacheable(request: HttpRequest, response: HttpResponse, listed: list[Incident], language: str) -> HttpResponse:
    """Headers for caches, and a 304 where the reader has this version.

    Nothing on these pages depends on who asks: no session, no form, no name.
    """
    newest = incidents.last_news(listed)
    # The day counts: incidents leave the page after 90 of them.
    version = f"{language}-{newest.timestamp() if newest else 0}-{len(listed)}-{timezone.localdate():%Y%m%d}"
    titles = hash_of(listed)
    response.headers["ETag"] = etag = quote_etag(f"{version}-{titles}")
    response.headers["Cache-Control"] = f"public, max-age={FRESH_SECONDS}"
    response.headers["Content-Language"] = language
    if newest:
        response.headers["Last-Modified"] = http_date(newest.timestamp())
    patch_vary_headers(response, ("Cookie",))
    answer = get_conditional_response(request, etag=etag, response=response)
    assert isinstance(answer, HttpResponse)
    return answer


def hash_of(listed: list[Incident]) -> str:
    """Changes with any correction of an incident, which leaves the time of its messages alone."""

    parts = [f"{item.pk}|{item.title_fr}|{item.title_en}|{item.impact}|{item.started_at}" for item in listed]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """« État des services »: how the platform is now, and the incidents of 90 days."""
    language = _language(request)
    listed = incidents.shown()
    with translation.override(language), timezone.override(settings.TIME_ZONE):
        running = [_shown(item) for item in listed if item.resolved_at is None]
        past = [_shown(item) for item in listed if item.resolved_at is not None]
        context = {
            "language": language,
            "platform_name": settings.PLATFORM_NAME,
            "running": running,
            "worst": _worst(running),
            "days": [(day, list(items)) for day, items in groupby(past, key=_day)],
            "shown_days": incidents.SHOWN_DAYS,
            "zone": settings.TIME_ZONE,
            "now": timezone.now(),
        }
        # Rendered without the request: no user, no token, the same for everybody.
        return _cacheable(request, render(None, "notifications/broadcasts/status.html", context), listed, language)


def _shown(incident: Incident) -> dict[str, Any]:
    updates = list(incident.updates.all())
    return {
        "incident": incident,
        "state": updates[0] if updates else None,
        "updates": [{"update": item, "html": markup.to_html(markup.parse(item.text))} for item in updates],
        "same_day": bool(incident.resolved_at)
        and timezone.localdate(incident.started_at) == timezone.localdate(incident.resolved_at),
        "planned": incident.started_at > timezone.now(),
    }


def _day(shown: dict[str, Any]) -> date:
    return timezone.localdate(shown["incident"].started_at)


def _worst(running: list[dict[str, Any]]) -> str:
    """The gravest impact under way; a maintenance to come counts for nothing yet."""
    order = [Incident.Impact.MAINTENANCE, Incident.Impact.DEGRADED, Incident.Impact.PARTIAL, Incident.Impact.MAJOR]
    impacts = [item["incident"].impact for item in running if not item["planned"]]
    return str(max(impacts, key=order.index)) if impacts else ""


@require_safe
def feed(request: HttpRequest) -> HttpResponse:
    """The same as an Atom feed: one entry per message, newest first."""
    language = _language(request)
    listed = incidents.shown()
    with translation.override(language), timezone.override(settings.TIME_ZONE):
        page = f"{settings.BASE_URL}{reverse('status')}?language={language}"
        atom = _Feed(
            title=f"{settings.PLATFORM_NAME} · {_('État des services')}",
            link=page,
            description=_("Les incidents de la plateforme de paiement et leur suite."),
            subtitle=_("Les incidents de la plateforme de paiement et leur suite."),
            language=language,
            author_name=settings.PLATFORM_NAME,
            feed_url=f"{settings.BASE_URL}{reverse('status_feed')}?language={language}",
            feed_guid=f"tag:{emails.domain()},2026:status:{language}",
        )
        atom.newest = incidents.last_news(listed)
        updates = [update for item in listed for update in item.updates.all()]
        for update in sorted(updates, key=lambda item: (item.at, item.pk), reverse=True):
            atom.add_item(
                title=f"{update.incident.title} · {update.get_state_display()}",
                link=f"{page}#incident-{update.incident_id}",
                description=str(markup.to_html(markup.parse(update.text))),
                unique_id=f"tag:{emails.domain()},2026:incident-update:{update.pk}:{language}",
                pubdate=update.at,
                updateddate=update.at,
            )
        response = HttpResponse(atom.writeString("utf-8"), content_type="application/atom+xml; charset=utf-8")
        return _cacheable(request, response, listed, language)


class _Feed(Atom1Feed):
    """The framework's feed with a date that changes with its entries only."""

    newest: datetime | None = None

    def latest_post_date(self) -> datetime:
        return self.newest or datetime(2026, 1, 1, tzinfo=timezone.get_current_timezone())


# --- Out of the letter ----------------------------------------------------------------------------


@csrf_exempt
@get_and_post
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks and changes nothing; POST unsubscribes, from a mailbox's button too (RFC 8058), or subscribes again.

    A mailbox posts without cookies, so there is no CSRF token; the signed link is the proof.
    """
    companies = unsubscribing.companies_of(token)
    if companies is None:
        raise Http404
    state = "asks"
    if request.method == "POST":
        again = request.POST.get("action") == "resubscribe"
        service = newsletters.resubscribe if again else newsletters.unsubscribe
        companies = service(token=token, ip_address=request.META.get("REMOTE_ADDR") or None) or []
        state = "back" if again else "out"
    elif companies and all(company.newsletter_opt_out for company in companies):
        state = "out"
    context = {"state": state if companies else "gone", "companies": companies}
    response = render(request, "notifications/broadcasts/unsubscribe.html", context)
    # The address of the page is a key: it goes to no other site.
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
