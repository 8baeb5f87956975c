"""« Chercher partout »: one text, asked of every room; at once below the field, and as a page."""

import json

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.encoding import force_str
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from backoffice.base import private_cache
from backoffice.base.searching import LONGEST, SHOWN, Group, Hit, group, joined
from backoffice.site import menu
from companies.models import Membership
from companies.rights.access import CompanyRequest, company_page
from notifications.tables.screens import folded

# A single character is found everywhere.
SHORTEST = 2
REMEMBERED = 6
# A text that is typed is asked for with each pause; only from here on is it worth coming back to.
_WORTH_KEEPING = 3
_KEPT_FOR = 30 * 24 * 3600


@company_page()
@require_safe
def search(request: CompanyRequest) -> HttpResponseBase:
    """The groups of what was found, each with its way to the list of all.

    Where the text is the whole identifier of one thing and of nothing else, Enter opens that thing.
    """
    text = " ".join(request.GET.get("q", "").replace("\0", "").split())[:LONGEST]
    at_once = "HX-Request" in request.headers
    groups = groups_for(request.membership, text)
    hits = [hit for group in groups for hit in group.hits]
    if groups and len(text) >= _WORTH_KEEPING and not getattr(request, "view_as", None):
        remember(request.membership, text)
    if not at_once and len(hits) == 1 and hits[0].is_exact:
        return redirect(hits[0].url)
    context = {
        "q": text,
        "groups": groups,
        "count": len(hits),
        "shown": SHOWN,
        "is_short": len(text) < SHORTEST,
        "recent": [] if groups and at_once else recent(request.membership),
    }
    return _answer(request, context, at_once=at_once)


def _answer(request: CompanyRequest, context: dict[str, object], *, at_once: bool) -> HttpResponse:
    response = render(request, "site/search_found.html" if at_once else "site/search.html", context)
    # The same address answers both; a browser that goes back must not show the part alone.
    patch_vary_headers(response, ["HX-Request"])
    return response


def groups_for(membership: Membership, text: str) -> list[Group]:
    """The groups of hits of all rooms; none for a text that is too short."""
    if len(text) < SHORTEST:
        return []
    finders = (import_string(name) for name in settings.SEARCH_FINDERS)
    return [*_pages(membership, text), *(group for finder in finders for group in finder(membership, text))]


def _pages(membership: Membership, text: str) -> list[Group]:
    """The pages of the menu by their names."""
    needle = folded(text)
    hits = [
        Hit(force_str(entry.label), entry.path, joined(*map(force_str, filter(None, (section.label, entry.group)))))
        for section in menu.MENU
        for entry in section.entries
        if needle in folded(force_str(entry.label)) and entry.is_open_to(membership)
    ]
    return [Group("pages", _("Pages"), group.hits, "") for group in group("pages", "", hits, "")]


# --- What was asked before ------------------------------------------------------------------------


def _key(membership: Membership) -> str:
    return f"searches.{membership.company_id}.{membership.user_id}"


def recent(membership: Membership) -> list[str]:
    """What this user asked for lately in this company, the newest first."""
    texts: list[str] = json.loads(private_cache.get(_key(membership)) or "[]")
    return texts


def remember(membership: Membership, text: str) -> None:
    """Store a text for `recent`. It replaces the newest one if either begins with the other: typed on the way, or
    shortened.
    """
    before = recent(membership)
    if before and before[0] == text:
        return
    others = [one for one in before if folded(one) != folded(text)]
    if others and (folded(text).startswith(folded(others[0])) or folded(others[0]).startswith(folded(text))):
        others = others[1:]
    private_cache.put(_key(membership), json.dumps([text, *others][:REMEMBERED]), _KEPT_FOR)
