"""The parts of the OpenAPI description that the framework cannot derive from the models."""

from typing import Any

from notifications.api.problems import PROBLEM_TYPE


def parameter(name: str, schema: dict[str, Any], description: str, *, place: str = "query") -> dict[str, Any]:
    """An optional parameter of an operation."""
    return {"name": name, "in": place, "required": False, "schema": schema, "description": description}


ACCEPT_LANGUAGE = parameter("Accept-Language", {"type": "string", "default": "fr"}, "fr or en.", place="header")


AT = parameter(
    "at",
    {"type": "string", "format": "date-time"},
    "The settings of a past moment, with an offset; without it those of now.",
)


def described(*problems: int, **extra: Any) -> dict[str, Any]:
    """The part of an operation's description that the framework cannot derive."""
    titles = {
        400: "Not JSON, or not UTF-8",
        401: "No valid token",
        403: "The token lacks the scope",
        404: "Unknown, or another company's",
    }
    titles |= {
        409: "Same id, other content",
        413: "Over 2 MiB, or too many events or objects",
        415: "Not JSON in UTF-8",
    }
    titles |= {412: "The settings are no longer those that were read", 428: "If-Match is missing"}
    titles |= {422: "Refused; `errors` names the fields or parameters", 500: "A defect; try again"}
    schema = {"$ref": "#/components/schemas/ProblemOut"}
    responses = {
        code: {"description": titles[code], "content": {PROBLEM_TYPE: {"schema": schema}}}
        for code in (*problems, 401, 403, 500)
    }
    for code in (401, 403):
        responses[code]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return {"responses": responses, **extra}
