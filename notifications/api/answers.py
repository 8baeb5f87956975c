"""`GET companies/{reference}/explain` and `GET companies/{reference}/coverage`."""

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _
from ninja import Router

from backoffice.schemas.answers import CoverageOut, ExplainOut
from notifications import settings_facts
from notifications.answers import selectors
from notifications.answers.questions import PARAMETERS, QuestionInvalid
from notifications.api.describing import ACCEPT_LANGUAGE, AT, described, parameter
from notifications.api.problems import Problem, answer, language_of
from notifications.api.requests import ask_scope, company_named, no_parameters, parameters
from notifications.core import catalogue, coverage
from notifications.models import ApiToken
from notifications.timeline import reading
from notifications.timeline.moments import read_moment

router = Router()

LONGEST_VALUE = 2000

_TEXT = {"type": "string"}
QUESTION_PARAMETERS = [
    {**parameter("address", _TEXT, "The address asked about, configured or not."), "required": True},
    parameter("notification", {"type": "string", "enum": list(catalogue.BY_CODE)}, "A code of the catalogue."),
    parameter("trigger", {"type": "string", "enum": list(catalogue.TRIGGER_LABELS)}, "Keeps the rows of rules."),
    parameter("shop", {"type": "string", "pattern": "^[0-9]{8}$"}, "The shop's 8-digit identifier."),
    parameter("rule", _TEXT, "A rule's reference."),
    parameter("account", _TEXT, "An account's login."),
    parameter("mode", {"type": "string", "enum": list(catalogue.MODES)}, "Tests conditions on an event of this mode."),
    parameter("data", _TEXT, "Tests conditions on these data of an event, a JSON object."),
]


def _text(value: str) -> str:
    if len(value) > LONGEST_VALUE or "\x00" in value:
        raise ValueError(_("valeur trop longue ou illisible."))
    return value


@router.get(
    "/companies/{reference}/explain",
    operation_id="explain",
    summary="Why a notification reaches an address, or everything that stands in the way",
    response=ExplainOut,
    by_alias=True,
    openapi_extra=described(404, 422, parameters=[*QUESTION_PARAMETERS, AT, ACCEPT_LANGUAGE]),
)
def explain(request: HttpRequest, reference: str) -> HttpResponse:
    ask_scope(request, ApiToken.Scope.TABLES)
    given = parameters(request, {**dict.fromkeys(PARAMETERS, _text), "at": read_moment})
    at = given.pop("at", None)
    company = company_named(request, reference)
    language = language_of(request)
    with translation.override(language):
        try:
            explained = selectors.explain(
                reading.facts_of(company, at, also=[given.get("address") or ""]), given, at=at
            )
        except reading.NotRecorded as error:
            raise Problem(422, "", errors=[("at", str(error))]) from error
        except QuestionInvalid as error:
            raise Problem(422, "", errors=error.errors) from error
        document = ExplainOut.model_validate(explained.document())
    return answer(document, headers={"Content-Language": language}, only_given=True)


@router.get(
    "/companies/{reference}/coverage",
    operation_id="coverage",
    summary="Whether each notification reaches anybody, shop by shop, and a score",
    response=CoverageOut,
    by_alias=True,
    openapi_extra=described(404, 422, parameters=[ACCEPT_LANGUAGE]),
)
def coverage_of_company(request: HttpRequest, reference: str) -> HttpResponse:
    ask_scope(request, ApiToken.Scope.TABLES)
    no_parameters(request)
    company = company_named(request, reference)
    covered = selectors.coverage_of(company, settings_facts.company_facts(company, accounts=False))
    return answer(CoverageOut.model_validate(coverage.document(covered)))
