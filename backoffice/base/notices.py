"""Remarks of a form on what was typed, shown after it is saved.

A form field knows no request. What it notes while a request is answered becomes a message of that
request where the answer leads on, as it does after saving; where the form comes back, what was typed
stands in it unchanged, and there is nothing to tell yet.
"""

from collections.abc import Callable
from contextvars import ContextVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

_noted: ContextVar[list[str] | None] = ContextVar("notices", default=None)


def add(text: str) -> None:
    """Note a sentence for the sender of the current request; without a request it is lost."""
    noted = _noted.get()
    if noted is not None and text not in noted:
        noted.append(text)


class NoticesMiddleware:
    """Turns what was noted into messages; stands inside the middleware that keeps messages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        noted: list[str] = []
        token = _noted.set(noted)
        try:
            response = self.get_response(request)
        finally:
            _noted.reset(token)
        # Visitors have no session to keep messages in, and are given none for this.
        if noted and 300 <= response.status_code < 400 and request.user.is_authenticated:
            for text in noted:
                messages.info(request, text)
        return response
