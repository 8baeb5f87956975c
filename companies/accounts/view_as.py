"""« Voir comme »: a member of the team sees the merchant's pages as one of its users does, and changes nothing.

What keeps it harmless, each by itself: only GET and HEAD pass; the pages of accounts, second factors
and secrets are closed; and the database connection refuses every write while the page is made.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from companies import audit
from companies.audit import Actor
from companies.models import User

SESSION_KEY = "view_as"
LASTS = timedelta(minutes=30)
SAFE = ("GET", "HEAD")
# Accounts, second factors, single-use links and keys stay their owner's.
CLOSED = re.compile(r"^/(accounts?/|settings/shops/([^/]+/)?keys/|settings/company/api-tokens/)")
# The team's own pages, and what belongs to no account, go on as the person who is really there.
OWN = re.compile(r"^/(admin/|view-as/|static/|language/|accounts/logout/|api/|livez|readyz|metrics)")
_WRITES = re.compile(r"^\s*(INSERT|UPDATE|DELETE|REPLACE|MERGE|TRUNCATE|ALTER|DROP|CREATE)\b", re.I)
# Counting visits is no change of the merchant's data.
_CACHE_TABLE = re.compile(r'^\s*\w+\s+(INTO\s+|FROM\s+)?"?(shared|spare)_cache"?\b', re.I)


def may_view_as(staff: Any, target: User, *, is_member: bool = False) -> bool:
    """Whether a team member may see as this account: merchants' accounts only.

    Args:
        is_member: it is known to belong to a company, and that is not asked again.
    """
    return (
        isinstance(staff, User)
        and staff.is_active
        and staff.is_staff
        and staff.has_perm("companies.change_user")
        and target.is_active
        and not target.is_staff
        and not target.is_superuser
        and (is_member or target.memberships.exists())
    )


def start(request: HttpRequest, target: User, reason: str) -> None:
    """Begin, with an entry in the history of the account's company that gives the reason.

    Raises:
        PermissionDenied: not this person, or not as this account.
    """
    if not may_view_as(request.user, target):
        raise PermissionDenied
    audit.record(
        actor=Actor.of(request),
        action="user.viewed_as",
        obj=target,
        company=target.company,
        changes={"reason": [None, reason]},
    )
    until = timezone.now() + LASTS
    request.session[SESSION_KEY] = {"user": target.pk, "until": until.isoformat()}


def stop(request: HttpRequest) -> User | None:
    """End; returns the account that was looked at, None when there was none."""
    viewed = request.session.pop(SESSION_KEY, None)
    target = User.objects.filter(pk=viewed["user"]).select_related("company").first() if viewed else None
    if target is not None:
        audit.record(
            actor=Actor.of(request), action="user.view_as_ended", obj=target, company=target.company, changes={}
        )
    return target


def _refuse_writes(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    text = str(sql)
    if _WRITES.match(text) and not _CACHE_TABLE.match(text):
        raise PermissionDenied("nothing is written while seeing as somebody else")
    return execute(sql, params, many, context)


class ViewAsMiddleware:
    """Puts the account looked at in the place of the member of the team, for reading."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        state = request.session.get(SESSION_KEY) if request.user.is_authenticated else None
        if state is None or OWN.match(request.path):
            return self.get_response(request)
        staff = request.user
        target = User.objects.select_related("company").filter(pk=state["user"]).first()
        until = datetime.fromisoformat(state["until"])
        if target is None or until <= timezone.now() or not may_view_as(staff, target):
            stop(request)
            messages.info(request, _("« Voir comme » est terminé : il dure trente minutes au plus."))
            return redirect("admin:index")
        if request.method not in SAFE or CLOSED.match(request.path):
            raise PermissionDenied
        structlog.contextvars.bind_contextvars(staff_id=staff.pk)
        request.user = target
        # What was found out for the person who is really there.
        request.__dict__.pop("_membership", None)
        request.view_as = {"user": target, "staff": staff, "until": until}  # type: ignore[attr-defined]
        zone = target.time_zone or (target.company.time_zone if target.company else "")
        with timezone.override(zone or timezone.get_current_timezone()), connection.execute_wrapper(_refuse_writes):
            response = self.get_response(request)
        request.user = staff
        return response


def stop_view(request: HttpRequest) -> HttpResponse:
    """End « voir comme » and go back to the account's page in the admin."""
    target = stop(request) if request.user.is_authenticated else None
    if target is None:
        return redirect("home")
    messages.success(request, _("« Voir comme » est terminé."))
    return redirect(reverse("admin:companies_user_change", args=[target.pk]))
