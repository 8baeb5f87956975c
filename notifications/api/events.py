"""`POST events`: one event, or a list of them."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _
from ninja import Router

from backoffice.base import limits
from backoffice.schemas.events import LONGEST_ID, EventOut, EventResult, EventsOut
from companies.models import Company
from notifications.api.auth import company_of
from notifications.api.describing import ACCEPT_LANGUAGE, described
from notifications.api.problems import Problem, answer, field_errors, language_of
from notifications.api.requests import ask_scope, json_body, no_parameters
from notifications.events import together
from notifications.events.intake import EventConflict, EventInvalid, ValidEvent, validate_event
from notifications.events.publishing import Outcome
from notifications.models import ApiToken

router = Router()


@router.post(
    "/events",
    operation_id="events_post",
    summary="Hand over one event, or a list of at most 1,000",
    description=(
        "One event: 202 accepted, 200 duplicate. A list: 200, each event on its own; read `results`. "
        "The same id with the same content may be sent any number of times."
    ),
    response={200: EventsOut | EventOut, 202: EventOut},
    openapi_extra=described(
        400,
        409,
        413,
        415,
        422,
        parameters=[ACCEPT_LANGUAGE],
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
    ask_scope(request, ApiToken.Scope.EVENTS)
    no_parameters(request)
    company = company_of(request)
    with translation.override(language_of(request)):
        body = json_body(request)
        if isinstance(body, list):
            return _events(body, company)
        try:
            outcome = together.accept(validate_event(body), company)
            if outcome.error is not None:
                raise outcome.error
        except EventConflict as error:
            raise Problem(409, str(error)) from error
        except EventInvalid as error:
            raise Problem(422, "", errors=error.errors) from error
        assert outcome.event
        return answer(
            EventOut.model_validate({"id": outcome.event.event_id, "status": outcome.status}),
            202 if outcome.status == "accepted" else 200,
        )


def _events(items: list[Any], company: Company | None) -> HttpResponse:
    """Accept a list, each event on its own: one that is refused stops no other."""
    if len(items) > settings.API_MAX_EVENTS:
        raise Problem(
            413,
            _("La liste compte %(count)d événements ; %(limit)d au plus sont acceptés.")
            % {"count": len(items), "limit": settings.API_MAX_EVENTS},
        )
    document = EventsOut(accepted=0, duplicate=0, rejected=0, results=[])
    room = limits.LONGEST_REASONS
    for index, (item, outcome) in enumerate(zip(items, _outcomes(items, company), strict=True)):
        room -= len(str(outcome.error or "").encode())
        document.results.append(_result(index, item, outcome, with_reasons=room >= 0))
        setattr(document, outcome.status, getattr(document, outcome.status) + 1)
    return answer(document)


def _result(index: int, item: Any, outcome: Outcome, *, with_reasons: bool) -> EventResult:
    """What one event of a list came to; without its reasons where all of them would not fit into one answer."""
    given = item.get("id") if isinstance(item, dict) else None
    result = EventResult.model_validate(
        {
            "index": index,
            # No accepted id is longer; one that is comes back as its beginning.
            "id": given[:LONGEST_ID] if isinstance(given, str) else None,
            "status": outcome.status,
            "error": None,
            "errors": None,
        }
    )
    error = outcome.error
    if error is not None and with_reasons:
        result.error = str(error)
        result.errors = field_errors(error.errors if isinstance(error, EventInvalid) else [("id", str(error))])
    elif error is not None:
        result.error = _("refusé ; envoyez cet événement seul pour en lire les raisons.")
        result.errors = field_errors([("", result.error)])
    return result


def _outcomes(items: list[Any], company: Company | None) -> list[Outcome]:
    """What became of each item of a list, those refused for their form among them."""
    judged: list[ValidEvent | EventInvalid] = []
    for item in items:
        try:
            judged.append(validate_event(item))
        except EventInvalid as refused:
            judged.append(refused)
    accepted = iter(together.accept_list([item for item in judged if isinstance(item, ValidEvent)], company))
    return [next(accepted) if isinstance(item, ValidEvent) else Outcome("rejected", error=item) for item in judged]
