"""Home, language and company switches, health, error pages."""

import ipaddress
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseForbidden
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.csrf import requires_csrf_token
from django.views.decorators.http import require_POST, require_safe
from django_prometheus.exports import ExportToDjangoView

from backoffice import home as answers
from backoffice.paging import paginate
from companies import access, permissions, services
from companies.audit import Actor
from companies.models import User
from notifications import selectors, wording


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Three answers: does everything reach someone, did anything fail, what changed."""
    membership = access.current_membership(request)
    if membership is None:
        if request.user.is_staff:
            return redirect("admin:index")
        return render(request, "home_no_company.html")
    summary = selectors.home_summary(membership.company, membership)
    shops = {shop.site_id: shop.name for shop in summary["facts"].shops}
    gaps = [
        {
            "label": wording.notification_label(gap.notification),
            "shop": shops.get(gap.shop or "", ""),
            "reason": wording.decision_reason(gap),
            "url": wording.configured_at(gap),
        }
        for gap in summary["gaps"][:4]
    ]
    context = {
        "summary": summary,
        "gaps": gaps,
        "failing_urls": answers.failing_urls(membership),
        "unsent_orders": answers.unsent_orders(membership),
        "settings_errors": answers.settings_errors(membership),
        "incidents": answers.running_incidents(),
        "shops_to_open": answers.shops_to_open(membership),
        "may_create_shop": not summary["shops_count"] and access.can(membership, permissions.MANAGE_COMPANY),
    }
    return render(request, "home.html", context)


# --- Switches -------------------------------------------------------------------------------------


def _back(request: HttpRequest) -> str:
    """The page a switch was used on, when it is one of ours; else home."""
    wanted = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return wanted
    return "/"


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Keep the chosen language in the cookie and, when logged in, in the user's settings."""
    language = request.POST.get("language", "")
    response = redirect(_back(request))
    if language not in dict(settings.LANGUAGES):
        return response
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )
    user = request.user
    if isinstance(user, User) and user.language != language:
        try:
            services.user_update(user=user, actor=Actor.of(request), language=language)
        except ValidationError as error:
            # An account that is incomplete in other ways keeps its setting until it is mended.
            messages.error(request, " ".join(error.messages))
    return response


@login_required
@require_safe
def companies(request: HttpRequest) -> HttpResponse:
    """« Mes sociétés »: the companies a user may act for, to search and to switch between."""
    assert isinstance(request.user, User)
    mine = access.memberships(request.user)
    q = request.GET.get("q", "").strip()[:254]
    if q:
        mine = mine.filter(Q(company__name__icontains=q) | Q(company__reference__icontains=q))
    current = access.current_membership(request)
    if current is None:
        raise Http404
    return render(request, "companies/switch.html", {"page": paginate(request, mine), "q": q, "current": current})


@login_required
@require_POST
def switch_company(request: HttpRequest) -> HttpResponse:
    """Work under another of the user's companies; home shows it, or the page that `next` names."""
    wanted = request.POST.get("company", "")
    assert isinstance(request.user, User)
    found = next((item for item in access.memberships(request.user) if str(item.company_id) == wanted), None)
    if found is None:
        raise Http404
    request.session[access.SESSION_COMPANY] = found.company_id
    messages.success(request, _("Vous travaillez maintenant pour %(company)s.") % {"company": found.company.name})
    return redirect(_back(request))


# --- Health ---------------------------------------------------------------------------------------

PLAIN = "text/plain; charset=utf-8"


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok", content_type=PLAIN)


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """The database answers and has this version's schema; 503 otherwise."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return HttpResponse("database unreachable", status=503, content_type=PLAIN)
    if not all(leaf in applied for leaf in MigrationLoader(None).graph.leaf_nodes()):
        return HttpResponse("migrations not applied", status=503, content_type=PLAIN)
    return HttpResponse("ok", content_type=PLAIN)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus figures for staff and for scrapers on this machine; a plain 404 for others.

    "On this machine" needs both the address and the host name of a loopback: behind a proxy on
    the same machine every request comes from the loopback address.
    """
    staff = request.user.is_active and getattr(request.user, "is_staff", False)
    if not staff and not (_is_loopback(request.META.get("REMOTE_ADDR", "")) and _is_loopback(_host_name(request))):
        raise Http404
    response: HttpResponse = ExportToDjangoView(request)
    return response


def _host_name(request: HttpRequest) -> str:
    host = request.get_host()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


# --- Errors ---------------------------------------------------------------------------------------


def gone(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """For names the log-in library needs although nothing answers there."""
    raise Http404


def _bare(template: str, status: int) -> HttpResponse:
    """An error page outside the shell: no user, no form, no database, both languages."""
    with translation.override(settings.LANGUAGE_CODE):
        response = HttpResponse(render_to_string(template), status=status)
    response.headers["Content-Language"] = "fr, en"
    return response


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """The same bytes for whatever does not exist and for what belongs to others."""
    return _bare("404.html", 404)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _bare("400.html", 400)


def server_error(request: HttpRequest) -> HttpResponse:
    return _bare("500.html", 500)


@requires_csrf_token
def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    closed = str(exception) if isinstance(exception, access.ClosedDenied) else ""
    return HttpResponseForbidden(render_to_string("403.html", {"closed": closed}, request))


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return HttpResponseForbidden(render_to_string("403_csrf.html", {}, request))


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "429.html", status=429)
