"""Errors of the API."""

from pydantic import BaseModel


class FieldError(BaseModel):
    """`field` is the JSON path in a body (`$`: the whole), or the name of a parameter; empty where others are counted."""

    field: str
    message: str


class ProblemOut(BaseModel):
    """RFC 9457. `errors` comes with 422."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None
