"""Views that only answer with an error."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse


def gone(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """For names the log-in library needs although nothing answers there."""
    raise Http404
