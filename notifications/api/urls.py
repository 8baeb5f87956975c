"""Addresses under `/api/`, and the description of the API."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from backoffice.schemas.events import EventIn
from backoffice.schemas.problems import ProblemOut
from notifications.api.application import api
from notifications.api.bounces import provider_notice
from notifications.api.problems import Problem, problem_response


@csrf_exempt
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI description; public, it tells nothing about anybody."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return JsonResponse(openapi_document(), json_dumps_params={"ensure_ascii": False})


def openapi_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(), default=str))
    schemas = document["components"]["schemas"]
    for model in (EventIn, ProblemOut):
        # Named by the descriptions above only, so the framework does not collect them.
        schema = model.model_json_schema(mode="validation", ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return document


@csrf_exempt
def unknown(request: HttpRequest) -> HttpResponse:
    return problem_response(request, Problem(404, ""))


urlpatterns = [
    path("v1/openapi.json", openapi, name="api_openapi"),
    path("v1/bounces/<slug:provider>/", provider_notice, name="api_bounces"),
    # The library answers its root with a page of its own.
    path("v1/", unknown),
    path("v1/", api.urls),
    re_path(r"", unknown),
]
