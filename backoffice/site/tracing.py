"""The span of a request, where traces are collected (`backoffice/base/tracing.py`); installed only there.

Named by the pattern of its address: the address itself may hold what opens an order or an account.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from backoffice.base import tracing

# Asked every few seconds by machines; and what no page waits for.
_UNTOLD = ("/livez", "/readyz", "/metrics", settings.STATIC_URL)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})


class TracingMiddleware:
    """First of all, so that what others answer is told as well. A caller's `traceparent` is gone on with."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._server = urlsplit(settings.BASE_URL).hostname or ""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(_UNTOLD):
            return self.get_response(request)
        method = str(request.method) if request.method in _METHODS else "_OTHER"
        told = {"http.request.method": method, "server.address": self._server}
        sent = {name: request.headers.get(name, "") for name in ("traceparent", "tracestate")}
        with tracing.span(_name(method), "SERVER", told, parent=tracing.context_of(sent)) as span:
            response = self.get_response(request)
            if span is not None:
                match = request.resolver_match
                if match is not None:
                    span.update_name(f"{_name(method)} /{match.route}")
                    span.set_attribute("http.route", f"/{match.route}")
                # After the proxies in front have been believed, or not.
                span.set_attribute("url.scheme", request.scheme or "http")
                span.set_attribute("http.response.status_code", response.status_code)
                if request_id := response.headers.get("X-Request-ID"):
                    span.set_attribute("bom.request_id", request_id)
                if response.status_code >= 500:
                    tracing.fail(span, str(response.status_code))
        return response


def _name(method: str) -> str:
    return "HTTP" if method == "_OTHER" else method
