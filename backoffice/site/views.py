"""Home, language and company switches, health, error pages."""

import ipaddress

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent, ValidationError
from django.db import DatabaseError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseForbidden
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.csrf import requires_csrf_token
from django.views.decorators.http import require_POST, require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from backoffice.base import figures
from backoffice.base.paging import paginate
from backoffice.site import home as answers
from backoffice.site.middleware import AddressTooLong, came_directly
from companies import status
from companies.audit import Actor
from companies.models import User
from companies.rights import access, permissions
from companies.team import services as team_services
from notifications.outbox import parts, state
from notifications.outbox import waits as mail_waits
from notifications.sending import metrics as sending_metrics


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The home page."""
    membership = access.current_membership(request)
    if membership is None:
        if request.user.is_staff:
            return redirect("admin:index")
        return render(request, "site/home_no_company.html")
    context = answers.home_summary(membership.company, membership)
    context["may_create_shop"] = (
        status.is_active(company=membership.company)
        and not context["shops_count"]
        and access.can(membership, permissions.MANAGE_COMPANY)
    )
    return render(request, "site/home.html", context)


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
            team_services.user_update(user=user, actor=Actor.of(request), language=language)
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
    return render(
        request, "companies/accounts/switch.html", {"page": paginate(request, mine), "q": q, "current": current}
    )


@login_required
@require_POST
def switch_company(request: HttpRequest) -> HttpResponse:
    """Work under another of the user's companies; home shows it, or the page that `next` names."""
    wanted = request.POST.get("company", "")
    assert isinstance(request.user, User)
    membership = next((item for item in access.memberships(request.user) if str(item.company_id) == wanted), None)
    if membership is None:
        raise Http404
    request.session[access.SESSION_COMPANY] = membership.company_id
    messages.success(request, _("Vous travaillez maintenant pour %(company)s.") % {"company": membership.company.name})
    return redirect(_back(request))


# --- Health ---------------------------------------------------------------------------------------

PLAIN = "text/plain; charset=utf-8"


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok", content_type=PLAIN)


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """503 where the database does not answer, takes no writes or lacks this version's schema.

    Else 200: "ok", or the names of the parts that need a person; visitors can be served all the same.
    """
    problem = parts.database()
    if problem is not None:
        return HttpResponse(_NOT_READY[problem.part], status=503, content_type=PLAIN)
    try:
        problems = [*parts.foundations(), *parts.of_sending(state.now_stands())]
    except DatabaseError:
        return HttpResponse(_NOT_READY["database"], status=503, content_type=PLAIN)
    names = sorted({problem.part for problem in problems})
    return HttpResponse(f"degraded: {' '.join(names)}" if names else "ok", content_type=PLAIN)


_NOT_READY = {"database": "database unreachable or read-only", "migrations": "migrations not applied"}


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus figures for staff, for who has `METRICS_TOKEN`, and, without one, for scrapers on this machine; a plain
    404 for others.

    Behind a proxy on the same machine every request comes from the loopback address, and its host is whatever the
    visitor wrote. So "on this machine" means: the other side of the connection is a loopback, the host names one, and
    no proxy has left a trace.
    """
    staff = request.user.is_active and getattr(request.user, "is_staff", False)
    if not staff and not _may_scrape(request):
        raise Http404
    return HttpResponse(figures.page(_measure), content_type=CONTENT_TYPE_LATEST)


def _measure() -> None:
    mail_waits.measure()
    sending_metrics.measure()


def _may_scrape(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and constant_time_compare(token.strip(), settings.METRICS_TOKEN)
    from_here = _is_loopback(request.META.get("REMOTE_ADDR", "")) and _is_loopback(_host_name(request))
    return from_here and came_directly(request)


def _host_name(request: HttpRequest) -> str:
    host = request.get_host()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


# --- Errors ---------------------------------------------------------------------------------------


def _bare(template: str, status: int) -> HttpResponse:
    """An error page outside the shell: no user, no form, no database, both languages."""
    with translation.override(settings.LANGUAGE_CODE):
        response = HttpResponse(render_to_string(template), status=status)
    response.headers["Content-Language"] = "fr, en"
    return response


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """The 404 page: the same bytes for missing objects and for those of other companies."""
    return _bare("404.html", 404)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if isinstance(exception, AddressTooLong):
        return _bare("413.html", 414)
    if isinstance(exception, (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)):
        return _bare("413.html", 400)
    return _bare("400.html", 400)


def server_error(request: HttpRequest) -> HttpResponse:
    return _bare("500.html", 500)


@requires_csrf_token
def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    reason = str(exception) if isinstance(exception, access.ToldDenied) else ""
    return HttpResponseForbidden(render_to_string("403.html", {"reason": reason}, request))


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return HttpResponseForbidden(render_to_string("403_csrf.html", {}, request))


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "429.html", status=429)
