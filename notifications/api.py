"""The HTTP API under `/api/v1/` (DESIGN 7): events in, delivery tables and deliveries out.

Bodies and query parameters are read here and not by the framework, which takes `"19"` for an
integer and answers 500 to a lone surrogate. Every error, of whatever layer, leaves as an RFC 9457
problem document in the caller's language: what the views raise through `Problem`, all else (an
unknown path or host, a refused method, a defect) through `ProblemMiddleware`.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import UnreadablePostError
from django.urls import path, re_path
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError

from companies.models import Company, reference_validator

from . import addresses, catalogue, selectors
from .api_auth import BearerToken, company_of, lacks_scope
from .intake import EventConflict, EventInvalid, NotJson, parse_json, validate_event
from .models import ApiToken, Delivery
from .services import accept_event

log = structlog.get_logger(__name__)

PROBLEM_TYPE = "application/problem+json"
DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200
CHALLENGE = 'Bearer realm="api"'


# --- Language -------------------------------------------------------------------------------------


def language_of(request: HttpRequest) -> str:
    """The first language of `Accept-Language` that we speak, else French."""
    known = dict(settings.LANGUAGES)
    for code, weight in parse_accept_lang_header(request.headers.get("Accept-Language", "").lower()):
        if weight > 0 and code.partition("-")[0] in known:
            return code.partition("-")[0]
    return settings.LANGUAGE_CODE


# --- Problems -------------------------------------------------------------------------------------


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
        413: (_("Contenu trop volumineux"), _("La requête est trop volumineuse.")),
        415: (_("Type de contenu non pris en charge"), _("Le contenu doit être en application/json, en UTF-8.")),
        422: (_("Contenu refusé"), _("La requête ne respecte pas les règles ; voir errors.")),
        429: (_("Trop de requêtes"), _("Attendez le délai que donne l'en-tête Retry-After, puis recommencez.")),
        500: (_("Erreur interne"), _("Une erreur est survenue ; la requête peut être envoyée de nouveau.")),
    }
    return known.get(status) or known[500 if status >= 500 else 400]


def _json(document: Any, status: int = 200, content_type: str = "application/json") -> HttpResponse:
    return HttpResponse(json.dumps(document, ensure_ascii=False), status=status, content_type=content_type)


def problem_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem document of RFC 9457, in the language of the caller."""
    with translation.override(language_of(request)):
        title, usual = _wording(problem.status)
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": title,
            "status": problem.status,
            "detail": problem.detail or usual,
        }
        if problem.errors is not None:
            document["errors"] = _errors(problem.errors)
        response = _json(document, problem.status, PROBLEM_TYPE)
    for name, value in problem.headers.items():
        response.headers[name] = value
    response.headers["Content-Language"] = language_of(request)
    return response


def _errors(errors: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"field": field, "message": message} for field, message in errors]


def _unauthorised(request: HttpRequest) -> Problem:
    given = request.headers.get("Authorization", "")
    return Problem(401, "", headers={"WWW-Authenticate": CHALLENGE + (', error="invalid_token"' if given else "")})


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


# --- Documents, as the OpenAPI description shows them ---------------------------------------------


class EventIn(Schema):
    """An event of the payment platform. Other fields are refused; other keys of `data` are kept."""

    id: str
    type: str
    site_id: str
    mode: Literal["TEST", "PRODUCTION"]
    occurred_at: datetime
    data: dict[str, Any] = {}
    version: Literal[1] = 1


class EventOut(Schema):
    id: str
    status: Literal["accepted", "duplicate"]


class FieldError(Schema):
    field: str
    message: str


class EventResult(Schema):
    """`error` sums `errors` up; both are null unless the event was rejected."""

    index: int
    id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    error: str | None
    errors: list[FieldError] | None


class EventsOut(Schema):
    accepted: int
    duplicate: int
    rejected: int
    results: list[EventResult]


class ProblemOut(Schema):
    """RFC 9457. `errors` comes with 422."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


class LineOut(Schema):
    notification: str
    shop: str | None
    rule: str | None
    account: str | None
    triggers: list[str]
    source: str
    condition: str | None
    reason: str
    configured_at: str | None


class AddressOut(Schema):
    email: str
    roles: list[str]
    receives: list[LineOut]


class GapOut(Schema):
    notification: str
    shop: str | None
    rule: str | None
    on_purpose: bool
    reason: str


class TablesOut(Schema):
    company: str
    addresses: list[AddressOut]
    gaps: list[GapOut]


class DeliveryOut(Schema):
    id: str
    event: str
    notification: str
    shop: str | None
    rule: str | None
    address: str
    channel: Literal["email", "ipn"]
    mode: Literal["TEST", "PRODUCTION"]
    status: Literal["queued", "sending", "sent", "retry", "dead", "cancelled", "not_sent"]
    attempts: int
    created_at: datetime
    sent_at: datetime | None
    retry_at: datetime | None
    http_status: int | None
    error: str | None


class DeliveriesOut(Schema):
    results: list[DeliveryOut]
    next: str | None


def _parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


_TEXT = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}
LISTING_PARAMETERS = [
    {
        **_parameter(
            "status",
            {"type": "array", "items": {"type": "string", "enum": Delivery.Status.values}},
            "Repeated, or a comma-separated list.",
        ),
        "style": "form",
        "explode": True,
    },
    _parameter("notification", {"type": "string", "enum": list(catalogue.BY_CODE)}, "A code of the catalogue."),
    _parameter("shop", {"type": "string", "pattern": "^[0-9]{8}$"}, "The shop's 8-digit identifier."),
    _parameter("address", _TEXT, "A whole address; case and IDN spelling do not matter."),
    _parameter("event", _TEXT, "An event's id."),
    _parameter("since", _MOMENT, "Created at this time or later; with an offset."),
    _parameter("until", _MOMENT, "Created before this time; with an offset."),
    _parameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT}, "Rows a page."
    ),
    _parameter("cursor", _TEXT, "The `next` of the page before; keep the filters the same."),
]
_ACCEPT_LANGUAGE = {
    "name": "Accept-Language",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "default": "fr"},
    "description": "fr or en.",
}


def _described(*problems: int, **extra: Any) -> dict[str, Any]:
    """The part of an operation's description that the framework cannot derive."""
    titles = {
        400: "Not JSON, or not UTF-8",
        401: "No valid token",
        403: "The token lacks the scope",
        404: "Unknown, or another company's",
    }
    titles |= {409: "Same id, other content", 413: "Over 2 MiB or 1,000 events", 415: "Not JSON in UTF-8"}
    titles |= {422: "Refused; `errors` names the fields or parameters", 500: "A defect; try again"}
    schema = {"$ref": "#/components/schemas/ProblemOut"}
    responses = {
        code: {"description": titles[code], "content": {PROBLEM_TYPE: {"schema": schema}}}
        for code in (*problems, 401, 403, 500)
    }
    for code in (401, 403):
        responses[code]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return {"responses": responses, **extra}


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


@api.exception_handler(Problem)
def _on_problem(request: HttpRequest, problem: Problem) -> HttpResponse:
    return problem_response(request, problem)


@api.exception_handler(AuthenticationError)
def _on_unauthorised(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return problem_response(request, _unauthorised(request))


@api.exception_handler(HttpError)
def _on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem_response(request, Problem(error.status_code, ""))


@api.exception_handler(Http404)
def _on_not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem_response(request, Problem(404, ""))


@api.exception_handler(RequestDataTooBig)
def _on_too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return problem_response(request, Problem(413, ""))


@api.exception_handler(SuspiciousOperation)
def _on_suspicious(request: HttpRequest, error: SuspiciousOperation) -> HttpResponse:
    return problem_response(request, Problem(400, ""))


@api.exception_handler(Exception)
def _on_defect(request: HttpRequest, error: Exception) -> HttpResponse:
    # The path only: a query string may hold an address.
    log.exception("api_defect", path=request.path, error=type(error).__name__)
    return problem_response(request, Problem(500, ""))


def _ask_scope(request: HttpRequest, scope: ApiToken.Scope) -> None:
    """Raises Problem (403) when the token was not made for this."""
    if lacks_scope(request, scope):
        with translation.override(language_of(request)):
            detail = _("Ce jeton n'a pas la portée « %(scope)s » (%(code)s).") % {
                "scope": scope.label,
                "code": scope.value,
            }
        challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{scope.value}"'
        raise Problem(403, detail, headers={"WWW-Authenticate": challenge})


# --- Bodies ---------------------------------------------------------------------------------------


def _body(request: HttpRequest) -> Any:
    """The JSON document of a request; no more than the limit is ever read.

    Raises Problem: 400, 411, 413 or 415.
    """
    _check_content_type(request)
    raw = _raw_body(request)
    try:
        return parse_json(raw)
    except NotJson as error:
        raise Problem(400, str(error)) from error


def _check_content_type(request: HttpRequest) -> None:
    charset = (request.content_params or {}).get("charset", "utf-8").strip("\"'").lower()
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if request.content_type != "application/json" or charset not in ("utf-8", "utf8") or encoding != "identity":
        raise Problem(415, "")


def _raw_body(request: HttpRequest) -> bytes:
    limit = settings.API_MAX_BODY_BYTES
    stated = request.META.get("CONTENT_LENGTH") or ""  # checked by the middleware
    stream: Any = request
    wanted = int(stated or 0)
    if not stated and request.headers.get("Transfer-Encoding"):
        # The framework reads nothing without a length; the server marks a stream that ends by itself.
        if not request.META.get("wsgi.input_terminated"):
            raise Problem(411, "")
        stream = request.META["wsgi.input"]
        wanted = limit + 1
    raw = b""
    try:
        while len(raw) < wanted and (piece := stream.read(wanted - len(raw))):
            raw += piece
    except (UnreadablePostError, OSError) as error:
        raise Problem(400, _("Le contenu n'est pas arrivé en entier.")) from error
    if len(raw) > limit:
        raise _too_big()
    if stated and len(raw) < wanted:
        raise Problem(400, _("Le contenu n'est pas arrivé en entier."))
    return raw


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
        raise _too_big()


def _too_big() -> Problem:
    return Problem(413, _("Le contenu dépasse %(limit)d octets.") % {"limit": settings.API_MAX_BODY_BYTES})


# --- Events ---------------------------------------------------------------------------------------


@api.post(
    "/events",
    operation_id="events_post",
    summary="Hand over one event, or a list of at most 1,000",
    description=(
        "One event: 202 accepted, 200 duplicate. A list: 200, each event on its own; read `results`. "
        "The same id with the same content may be sent any number of times."
    ),
    response={200: EventsOut | EventOut, 202: EventOut},
    openapi_extra=_described(
        400,
        409,
        413,
        415,
        422,
        parameters=[_ACCEPT_LANGUAGE],
        requestBody={
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/EventIn"},
                            {
                                "type": "array",
                                "maxItems": settings.API_MAX_EVENTS,
                                "items": {"$ref": "#/components/schemas/EventIn"},
                            },
                        ]
                    }
                }
            },
        },
    ),
)
def events_post(request: HttpRequest) -> HttpResponse:
    _ask_scope(request, ApiToken.Scope.EVENTS)
    company = company_of(request)
    with translation.override(language_of(request)):
        body = _body(request)
        if isinstance(body, list):
            return _events(body, company)
        try:
            status, event = accept_event(valid=validate_event(body), company=company)
        except EventConflict as error:
            raise Problem(409, str(error)) from error
        except EventInvalid as error:
            raise Problem(422, "", errors=error.errors) from error
        return _json({"id": event.event_id, "status": status}, 202 if status == "accepted" else 200)


def _events(items: list[Any], company: Company | None) -> HttpResponse:
    """Accept a list, each event in its own transaction: one that is refused stops no other."""
    if len(items) > settings.API_MAX_EVENTS:
        raise Problem(
            413,
            _("La liste compte %(count)d événements ; %(limit)d au plus sont acceptés.")
            % {"count": len(items), "limit": settings.API_MAX_EVENTS},
        )
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    results = []
    for index, item in enumerate(items):
        given = item.get("id") if isinstance(item, dict) else None
        result: dict[str, Any] = {"index": index, "id": given if isinstance(given, str) else None}
        error: EventConflict | EventInvalid | None = None
        try:
            status, _event = accept_event(valid=validate_event(item), company=company)
        except (EventConflict, EventInvalid) as refused:
            status, error = "rejected", refused
        result["status"] = status
        result["error"] = str(error) if error else None
        result["errors"] = None
        if isinstance(error, EventInvalid):
            result["errors"] = _errors(error.errors)
        elif error:
            result["errors"] = _errors([("id", str(error))])
        counts[status] += 1
        results.append(result)
    return _json({**counts, "results": results})


# --- Delivery tables ------------------------------------------------------------------------------


@api.get(
    "/companies/{reference}/delivery-tables",
    operation_id="delivery_tables",
    summary="What reaches each address of a company, and why",
    response=TablesOut,
    openapi_extra=_described(404, parameters=[_ACCEPT_LANGUAGE]),
)
def delivery_tables(request: HttpRequest, reference: str) -> HttpResponse:
    _ask_scope(request, ApiToken.Scope.TABLES)
    mine = company_of(request)
    known = Company.objects.all() if mine is None else Company.objects.filter(pk=mine.pk)
    try:
        # What is no reference never reaches the database: PostgreSQL refuses some characters loudly.
        reference_validator(reference)
        company = known.get(reference=reference)
    except (ValidationError, Company.DoesNotExist) as error:
        raise Http404 from error
    with translation.override(language_of(request)):
        tables = selectors.delivery_tables(selectors.company_facts(company))
        response = _json(selectors.delivery_tables_json(tables))
    response.headers["Content-Language"] = language_of(request)
    return response


# --- Deliveries -----------------------------------------------------------------------------------


@api.get(
    "/deliveries",
    operation_id="deliveries",
    summary="What was sent, and what came of it, newest first",
    response=DeliveriesOut,
    openapi_extra=_described(422, parameters=[*LISTING_PARAMETERS, _ACCEPT_LANGUAGE]),
)
def deliveries(request: HttpRequest) -> HttpResponse:
    _ask_scope(request, ApiToken.Scope.DELIVERIES)
    with translation.override(language_of(request)):
        asked = _listing(request)
        found = selectors.deliveries_filtered(
            selectors.deliveries_of(company_of(request)),
            status=asked["status"],
            notification=asked["notification"],
            shop=asked["shop"],
            since=asked["since"],
            until=asked["until"],
        )
    # A program names whole addresses and ids; the journal's search by parts is for people.
    if asked["address"]:
        found = found.filter(normalised_address=addresses.normalise(asked["address"]))
    if asked["event"]:
        found = found.filter(event__event_id=asked["event"])
    rows = list(_after(found, asked["cursor"])[: asked["limit"] + 1])
    page = rows[: asked["limit"]]
    return _json(
        {
            "results": [_delivery(row) for row in page],
            "next": _cursor(page[-1]) if len(rows) > len(page) else None,
        }
    )


def _delivery(row: Delivery) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "event": row.event.event_id,
        "notification": row.notification,
        "shop": row.shop.site_id if row.shop else None,
        "rule": row.rule.reference if row.rule else None,
        "address": row.address,
        "as": row.as_field,
        "channel": row.channel,
        "mode": row.mode,
        "status": row.status,
        "attempts": row.attempt_count,
        "created_at": _utc(row.created_at),
        "sent_at": _utc(row.sent_at),
        "retry_at": _utc(row.retry_at),
        "http_status": row.http_status,
        "error": row.error or None,
    }


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _cursor(row: Delivery) -> str:
    return base64.urlsafe_b64encode(f"{_utc(row.created_at)} {row.pk.hex}".encode()).decode().rstrip("=")


def _after(found: QuerySet[Delivery], cursor: tuple[datetime, uuid.UUID] | None) -> QuerySet[Delivery]:
    """The rows below the cursor's; rows that arrive later stand above it and move nothing."""
    if cursor is None:
        return found
    moment, key = cursor
    # The first condition alone is what an index can serve.
    return found.filter(created_at__lte=moment).filter(Q(created_at__lt=moment) | Q(pk__lt=key))


def _listing(request: HttpRequest) -> dict[str, Any]:
    """The checked query parameters. Raises Problem (422) naming every bad one."""
    errors: list[tuple[str, str]] = []
    asked: dict[str, Any] = {"status": [], "cursor": None, "limit": DEFAULT_LIMIT, "since": None, "until": None}
    asked |= dict.fromkeys(("notification", "shop", "address", "event"), "")
    for name, values in request.GET.lists():
        if name not in asked:
            errors.append((name[:100], _("paramètre inconnu.")))
        elif name == "status":
            asked["status"] = [part.strip() for value in values for part in value.split(",")]
            if bad := next((part for part in asked["status"] if part not in Delivery.Status.values), None):
                errors.append((name, _("« %(value)s » n'est pas un état connu.") % {"value": bad[:100]}))
            asked["status"] = [part for part in asked["status"] if part]
        elif len(values) > 1:
            errors.append((name, _("paramètre donné plusieurs fois.")))
        elif values[0] == "":
            continue
        else:
            try:
                asked[name] = _PARAMETERS[name](values[0])
            except ValueError as error:
                errors.append((name, str(error)))
    if errors:
        raise Problem(422, "", errors=errors)
    return asked


def _plain_text(value: str) -> str:
    if len(value) > 500 or "\x00" in value:
        raise ValueError(_("valeur trop longue ou illisible."))
    return value


def _site_id(value: str) -> str:
    if not (len(value) == 8 and value.isascii() and value.isdigit()):
        raise ValueError(_("« %(value)s » n'est pas un identifiant boutique de 8 chiffres.") % {"value": value[:100]})
    return value


def _notification(value: str) -> str:
    if value not in catalogue.BY_CODE:
        raise ValueError(_("« %(value)s » n'est pas une notification connue.") % {"value": value[:100]})
    return value


def _moment(value: str) -> datetime:
    # An unescaped + arrives as a space.
    head, space, tail = value.rpartition(" ")
    text = f"{head}+{tail}" if space and "T" in head else value
    try:
        moment = parse_datetime(text)
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(
        _("« %(value)s » n'est pas une date ISO 8601 avec décalage horaire (2026-11-23T10:00:00Z).")
        % {"value": value[:100]}
    )


def _limit(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and 1 <= int(value) <= LARGEST_LIMIT):
        raise ValueError(_("un entier de 1 à %(largest)d est attendu.") % {"largest": LARGEST_LIMIT})
    return int(value)


def _read_cursor(value: str) -> tuple[datetime, uuid.UUID]:
    try:
        text = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True).decode("ascii")
        moment, _sep, key = text.partition(" ")
        return _moment(moment), uuid.UUID(hex=key)
    except (binascii.Error, ValueError) as error:
        raise ValueError(_("ce curseur ne vient pas de cette liste.")) from error


_PARAMETERS: dict[str, Callable[[str], Any]] = {
    "notification": _notification,
    "shop": _site_id,
    "address": _plain_text,
    "event": _plain_text,
    "since": _moment,
    "until": _moment,
    "limit": _limit,
    "cursor": _read_cursor,
}


# --- Description, and all that is not there -------------------------------------------------------


@csrf_exempt
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI description; public, it tells nothing about anybody."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return _json(openapi_document())


def openapi_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(), default=str))
    schemas = document["components"]["schemas"]
    for model in (EventIn, ProblemOut):
        # Named by the descriptions above only, so the framework does not collect them.
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    schemas["EventIn"]["additionalProperties"] = False
    schemas["EventIn"]["properties"]["type"]["enum"] = sorted(catalogue.EXTERNAL_TYPES)
    schemas["EventIn"]["properties"]["site_id"]["pattern"] = "^[0-9]{8}$"
    schemas["EventIn"]["properties"]["id"] |= {"minLength": 1, "maxLength": 200}
    for name in ("LineOut", "DeliveryOut"):
        # A word of Python, so no attribute of a class.
        schemas[name]["properties"]["as"] = {"type": "string", "enum": Delivery.As.values, "title": "As"}
        schemas[name]["required"].append("as")
    return document


@csrf_exempt
def unknown(request: HttpRequest) -> HttpResponse:
    return problem_response(request, Problem(404, ""))


urlpatterns = [
    path("v1/openapi.json", openapi, name="api_openapi"),
    # The library answers its root with a page of its own.
    path("v1/", unknown),
    path("v1/", api.urls),
    re_path(r"", unknown),
]
