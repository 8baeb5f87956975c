"""The keys that pages know: shown by `?` on any page, and as a page."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe


@login_required
@require_safe
def shortcuts(request: HttpRequest) -> HttpResponse:
    part = "HX-Request" in request.headers
    response = render(request, "site/keyboard_keys.html" if part else "site/keyboard.html")
    patch_vary_headers(response, ["HX-Request"])
    return response
