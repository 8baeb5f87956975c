"""Errors of the API: RFC 9457 problem documents in the caller's language, whatever layer they come from.

Views raise `Problem`; all else (an unknown path or host, a refused method, a defect) passes through
`ProblemMiddleware`.
"""

from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation.trans_real import parse_accept_lang_header
from pydantic import BaseModel

from backoffice.base import limits
from backoffice.schemas.problems import FieldError, ProblemOut

log = structlog.get_logger(__name__)

PROBLEM_TYPE = "application/problem+json"


def language_of(request: HttpRequest) -> str:
    """The first language of `Accept-Language` that we speak, else French."""
    known = dict(settings.LANGUAGES)
    for code, weight in parse_accept_lang_header(request.headers.get("Accept-Language", "").lower()):
        if weight > 0 and code.partition("-")[0] in known:
            return code.partition("-")[0]
    return settings.LANGUAGE_CODE


def answer(
    document: BaseModel, status: int = 200, *, headers: dict[str, str] | None = None, only_given: bool = False
) -> HttpResponse:
    """A document as JSON, in UTF-8.

    Args:
        only_given: without the keys that the document was not given, which would stand for a default.
    """
    text = document.model_dump_json(by_alias=True, exclude_unset=only_given)
    return HttpResponse(text, status=status, content_type="application/json", headers=headers)


class Problem(Exception):
    """An answer other than success.

    Args:
        detail: one sentence for the caller, in the active language.
        errors: (field or parameter, message) pairs.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, headers or {}


def _wording(status: int) -> tuple[str, str]:
    """(title, usual detail) of a status, in the active language."""
    known = {
        400: (_("Requête incorrecte"), _("La requête ne peut pas être lue.")),
        401: (_("Authentification requise"), _("Un jeton d'API valide est attendu : Authorization: Bearer …")),
        403: (_("Accès refusé"), _("Ce jeton ne donne pas accès à cette opération.")),
        404: (_("Introuvable"), _("Il n'y a rien à cette adresse.")),
        405: (_("Méthode non autorisée"), _("Cette adresse n'accepte pas cette méthode.")),
        409: (_("Conflit"), _("La requête contredit ce qui a été accepté.")),
        411: (_("Longueur requise"), _("L'en-tête Content-Length est attendu.")),
        414: (_("Adresse trop longue"), _("L'adresse compte trop de paramètres, ou trop longs.")),
        412: (_("Condition non remplie"), _("Le document a été modifié entre-temps : lisez-le de nouveau.")),
        413: (_("Contenu trop volumineux"), _("La requête est trop volumineuse.")),
        415: (_("Type de contenu non pris en charge"), _("Le contenu doit être en application/json, en UTF-8.")),
        422: (_("Contenu refusé"), _("La requête ne respecte pas les règles ; voir errors.")),
        428: (_("Condition requise"), _("Envoyez l'en-tête If-Match avec l'ETag du document que vous avez lu.")),
        429: (_("Trop de requêtes"), _("Attendez le délai que donne l'en-tête Retry-After, puis recommencez.")),
        500: (_("Erreur interne"), _("Une erreur est survenue ; la requête peut être envoyée de nouveau.")),
    }
    return known.get(status) or known[500 if status >= 500 else 400]


def problem_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem document of RFC 9457, in the language of the caller."""
    language = language_of(request)
    with translation.override(language):
        title, usual = _wording(problem.status)
        document = ProblemOut(type="about:blank", title=title, status=problem.status, detail=problem.detail or usual)
        if problem.errors is not None:
            document.errors = field_errors(problem.errors)
    return HttpResponse(
        document.model_dump_json(exclude_none=True),
        status=problem.status,
        content_type=PROBLEM_TYPE,
        headers={**problem.headers, "Content-Language": language},
    )


def field_errors(errors: Sequence[tuple[str, str]]) -> list[FieldError]:
    """The errors as the documents show them; many are told by the first ones and a count."""
    # One place is for the count that the reader of an event has made already.
    told, others = (errors, 0) if len(errors) <= limits.MAX_ERRORS + 1 else limits.summed_up(errors)
    listed = [FieldError(field=field, message=message) for field, message in told]
    return [*listed, FieldError(field="", message=limits.and_others(others))] if others else listed


class ProblemMiddleware:
    """Keeps the API apart from the pages: no cookies in, problem documents out.

    Stands before every middleware that may answer in its own way. Without cookies there is no
    session, so nothing a browser carries along can act through the API, and no page's redirect
    (second factor) applies.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/api/"):
            return self.get_response(request)
        request.COOKIES = {}
        with translation.override(language_of(request)):
            try:
                _check_scheme(request)
                # Here already: others turn the header into a number without a look at it.
                _check_length(request)
            except Problem as problem:
                response = problem_response(request, problem)
                response.headers["X-Content-Type-Options"] = "nosniff"
            else:
                response = self.get_response(request)
        if response.status_code >= 400 and not response.headers.get("Content-Type", "").startswith(PROBLEM_TYPE):
            # Rewritten in place, so that Allow and the security headers stay.
            document = problem_response(request, Problem(response.status_code, ""))
            response.content = document.content
            for name, value in document.headers.items():
                response.headers[name] = value
            response.headers["Content-Length"] = str(len(document.content))
        response.headers.setdefault("Cache-Control", "no-store")
        patch_vary_headers(response, ("Accept-Language", "Authorization"))
        return response


def _check_scheme(request: HttpRequest) -> None:
    """Raises Problem (403) for plain http where pages would be sent on to https.

    A program that followed a redirection would go on sending its token in clear, and nobody would notice.
    """
    if settings.SECURE_SSL_REDIRECT and not request.is_secure():
        log.warning("api_over_http", path=request.path, token_sent="Authorization" in request.headers)
        raise Problem(403, _("L'API ne répond qu'en https. Un jeton envoyé en http a été lisible : remplacez-le."))


def _check_length(request: HttpRequest) -> None:
    """Raises Problem when the stated length of the body is no number, or over the limit."""
    stated = request.META.get("CONTENT_LENGTH") or ""
    if stated and not (stated.isascii() and stated.isdigit()):
        raise Problem(400, _("L'en-tête Content-Length n'est pas un nombre."))
    if len(stated) > 18 or int(stated or 0) > settings.API_MAX_BODY_BYTES:
        raise too_big()


def too_big() -> Problem:
    return Problem(413, _("Le contenu dépasse %(limit)d octets.") % {"limit": settings.API_MAX_BODY_BYTES})
