"""The page of the one search."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from backoffice.desk import search as finding


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """What the words of `?q=` name, by kind."""
    what = finding.asked(request.GET.get("q", ""))
    context = {
        **admin.site.each_context(request),
        "title": _("Recherche"),
        "asked": what.text,
        "groups": finding.groups(request, what),
    }
    return TemplateResponse(request, "admin/desk/search.html", context)
