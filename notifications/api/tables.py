"""`GET companies/{reference}/delivery-tables`."""

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from ninja import Router

from backoffice.schemas.tables import TablesOut
from notifications.api.describing import ACCEPT_LANGUAGE, AT, described
from notifications.api.problems import Problem, answer, language_of
from notifications.api.requests import ask_scope, company_named, parameters
from notifications.models import ApiToken
from notifications.tables import compute
from notifications.timeline import reading
from notifications.timeline.moments import read_moment

router = Router()


@router.get(
    "/companies/{reference}/delivery-tables",
    operation_id="delivery_tables",
    summary="What reaches each address of a company, and why",
    response=TablesOut,
    by_alias=True,
    openapi_extra=described(404, 422, parameters=[AT, ACCEPT_LANGUAGE]),
)
def delivery_tables(request: HttpRequest, reference: str) -> HttpResponse:
    ask_scope(request, ApiToken.Scope.TABLES)
    at = parameters(request, {"at": read_moment}).get("at")
    company = company_named(request, reference)
    language = language_of(request)
    with translation.override(language):
        try:
            facts = reading.facts_of(company, at, why_not=False)
        except reading.NotRecorded as error:
            raise Problem(422, "", errors=[("at", str(error))]) from error
        document = TablesOut.model_validate(
            compute.delivery_tables_json(compute.delivery_tables(facts, why_not=False, at=at))
        )
    return answer(document, headers={"Content-Language": language}, only_given=True)
