"""The API itself: authentication, and an answer for every exception."""

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError

from notifications.api import answers, deliveries, events, settings, tables
from notifications.api.auth import BearerToken
from notifications.api.problems import Problem, language_of, problem_response
from notifications.api.requests import CHALLENGE

log = structlog.get_logger(__name__)

api = NinjaAPI(
    title="Back Office Marchand",
    version="1",
    description=(
        "Hand over events, read who receives what, and what was sent. Errors are RFC 9457 problem documents in the "
        "language of Accept-Language (fr, en). Times are in UTC."
    ),
    openapi_url=None,
    docs_url=None,
    urls_namespace="api",
    auth=BearerToken(),
)
# One module a resource.
for resource in (events, tables, answers, deliveries, settings):
    api.add_router("", resource.router)


@api.exception_handler(Problem)
def _on_problem(request: HttpRequest, problem: Problem) -> HttpResponse:
    return problem_response(request, problem)


@api.exception_handler(AuthenticationError)
def _on_unauthorised(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    given = request.headers.get("Authorization", "")
    challenge = CHALLENGE + (', error="invalid_token"' if given else "")
    return problem_response(request, Problem(401, "", headers={"WWW-Authenticate": challenge}))


@api.exception_handler(HttpError)
def _on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem_response(request, Problem(error.status_code, ""))


@api.exception_handler(Http404)
def _on_not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem_response(request, Problem(404, ""))


@api.exception_handler(RequestDataTooBig)
def _on_too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return problem_response(request, Problem(413, ""))


@api.exception_handler(TooManyFieldsSent)
def _on_too_many_fields(request: HttpRequest, error: TooManyFieldsSent) -> HttpResponse:
    with translation.override(language_of(request)):
        return problem_response(
            request, Problem(422, _("L'adresse compte trop de paramètres, ou trop longs."), errors=[])
        )


@api.exception_handler(SuspiciousOperation)
def _on_suspicious(request: HttpRequest, error: SuspiciousOperation) -> HttpResponse:
    return problem_response(request, Problem(400, ""))


@api.exception_handler(Exception)
def _on_defect(request: HttpRequest, error: Exception) -> HttpResponse:
    # The path only: a query string may hold an address.
    log.exception("api_defect", path=request.path, error=type(error).__name__)
    return problem_response(request, Problem(500, ""))
