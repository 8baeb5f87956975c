"""Mon compte › Sessions ouvertes: where one is logged in, and ending it."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from backoffice.base.methods import get_and_post
from backoffice.text import user_agents
from companies import security
from companies.audit import Actor
from companies.models import LoginRecord, Session, User
from companies.rights.reauthentication import ask_again
from companies.sessions import session_of

RECENT_LOGINS = 10


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _others(request: HttpRequest) -> QuerySet[Session]:
    here = session_of(request).row
    sessions = security.open_sessions(_user(request))
    return sessions.exclude(pk=here.pk) if here else sessions


@login_required
@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    here = session_of(request).row
    rows = [
        (session, user_agents.describe(session.user_agent), session == here)
        for session in security.open_sessions(_user(request))
    ]
    # The one at hand first: it is what the others are compared with.
    rows.sort(key=lambda row: not row[2])
    recent = [
        (record, user_agents.describe(record.user_agent))
        for record in LoginRecord.objects.filter(user=_user(request))[:RECENT_LOGINS]
    ]
    context = {"rows": rows, "others": len(rows) > 1, "recent": recent}
    return render(request, "companies/accounts/sessions.html", context)


@login_required
@get_and_post
def end(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    session = get_object_or_404(_others(request), pk=key)
    # Who has stolen a session must not be able to put its owner out of the others.
    if (elsewhere := ask_again(request)) is not None:
        return elsewhere
    device = user_agents.describe(session.user_agent)
    if request.method == "POST":
        security.sessions_end(user=_user(request), actor=Actor.of(request), only=session)
        messages.success(request, _("La session « %(device)s » est fermée.") % {"device": device})
        return redirect("account_sessions")
    return render(
        request,
        "companies/confirm.html",
        {
            "title": _("Fermer la session"),
            "sentence": _(
                "« %(device)s », adresse %(ip)s : qui l'utilise devra se connecter de nouveau. Si ce n'est pas vous, "
                "changez aussi votre mot de passe."
            )
            % {"device": device, "ip": session.ip_address or "–"},
            "action": _("Fermer la session"),
            "back": reverse("account_sessions"),
        },
    )


@login_required
@get_and_post
def end_others(request: HttpRequest) -> HttpResponse:
    if (elsewhere := ask_again(request)) is not None:
        return elsewhere
    if request.method == "POST":
        ended = security.sessions_end(user=_user(request), actor=Actor.of(request), keep=session_of(request).row)
        messages.success(request, ngettext("%(n)d session fermée.", "%(n)d sessions fermées.", ended) % {"n": ended})
        return redirect("account_sessions")
    others = _others(request).count()
    return render(
        request,
        "companies/confirm.html",
        {
            "title": _("Fermer toutes les autres sessions"),
            "sentence": ngettext(
                "%(n)d autre session sera fermée ; celle-ci reste ouverte.",
                "%(n)d autres sessions seront fermées ; celle-ci reste ouverte.",
                others,
            )
            % {"n": others},
            "action": _("Fermer les autres sessions"),
            "back": reverse("account_sessions"),
        },
    )
