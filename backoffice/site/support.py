"""« Contacter le support »: addresses of the support, and the data to have ready."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from companies.rights import access

# Shops named on the page; whoever has more knows which one it is about.
SHOPS_SHOWN = 10


@require_safe
def contact(request: HttpRequest) -> HttpResponse:
    """The support page, open without log-in; names company and shops to logged-in users only."""
    membership = access.current_membership(request) if request.user.is_authenticated else None
    return render(
        request,
        "support.html",
        {
            "support_email": settings.SUPPORT_EMAIL,
            "support_url": settings.SUPPORT_URL,
            "membership": membership,
            "shops": list(access.shops_of(membership)[:SHOPS_SHOWN]) if membership else [],
            "now": timezone.now(),
        },
    )
