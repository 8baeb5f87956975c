"""The page shown when an object was removed after the page before was opened: it says so and links back."""

from collections.abc import Callable

import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve

log = structlog.get_logger(__name__)


class GoneMiddleware:
    """Answers a page whose object went away while it was being answered.

    Views look their objects up with a 404 of their own; this is for the moment after, when a service locks and
    reads them again. What was being written is rolled back by the transaction it stood in. It is logged with
    its traceback: a lookup that can never succeed shows there as well.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        # The API has problem documents of its own.
        if not _is_gone(exception) or request.path.startswith("/api/"):
            return None
        log.warning("object_gone", exc_info=exception)
        return render(request, "gone.html", {"back": way_back(request.path)}, status=404)


def _is_gone(exception: Exception) -> bool:
    """Whether an object was read in vain, or written to in vain: the framework has no class for the second."""
    if isinstance(exception, DatabaseError):
        return "did not affect any rows" in str(exception)
    return isinstance(exception, ObjectDoesNotExist)


def way_back(path: str) -> str:
    """The nearest page above an address that names no object."""
    parts = path.strip("/").split("/")
    while parts:
        parts.pop()
        above = f"/{'/'.join(parts)}/" if parts else "/"
        try:
            match = resolve(above)
        except Resolver404:
            continue
        if not match.args and not match.kwargs:
            return above
    return "/"
