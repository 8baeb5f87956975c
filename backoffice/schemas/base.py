"""What the shapes have in common: strict models, fields that refuse in our words, and what a refusal says.

A model is never lenient: `"19"` is no integer, an unknown key is an error. Where the words of the validation library
would reach a person, a field refuses by `refused` in the active language; the few problems that the library finds by
itself are put into words by whoever reads them (`flaws`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError, core_schema

# Types of problems: one that our fields found, with and without the value being told, and two of the library.
REFUSED, REFUSED_SECRET = "refused", "refused_secret"
UNKNOWN_KEY, MISSING = "extra_forbidden", "missing"


class Shape(BaseModel):
    """A JSON object of ours."""

    model_config = ConfigDict(strict=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


def refused(message: str, *, secret: bool = False) -> PydanticCustomError:
    """What a field raises: a sentence in the active language; `secret` keeps the value out of every message."""
    # Without a context the library takes the text as it is, braces included.
    return PydanticCustomError(REFUSED_SECRET if secret else REFUSED, message)


@dataclass(frozen=True)
class Checked:
    """Annotation of a field that one function reads, and how the description shows it.

    Attributes:
        read: takes the given value and returns the one to keep; raises `refused`.
        shown: its JSON schema.
        written: turns a kept value into the one of an answer; None leaves it.
    """

    read: Callable[[Any], Any]
    shown: dict[str, Any]
    written: Callable[[Any], Any] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self.written) if self.written else None
        return core_schema.no_info_plain_validator_function(self.read, serialization=written)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.shown)

    # Compared by what it does, not by its fields: a dictionary has no hash.
    def __hash__(self) -> int:
        return id(self)


def or_null(shown: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a value that may be null."""
    return {"anyOf": [shown, {"type": "null"}]}


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong with a document.

    Attributes:
        where: keys and positions that lead to it.
        kind: `REFUSED`, `REFUSED_SECRET`, or a type of the validation library.
        message: our words; those of the library for its own types.
        value: what was given there.
    """

    where: tuple[str | int, ...]
    kind: str
    message: str
    value: Any


def flaws(error: ValidationError, most: int | None = None) -> Iterator[Flaw]:
    """What a document was refused for: unknown keys first, then field by field; the first ones where `most` is given."""
    listed = error.errors(include_url=False, include_context=False)
    listed.sort(key=lambda item: item["type"] != UNKNOWN_KEY)
    for item in listed[:most]:
        yield Flaw(item["loc"], item["type"], item["msg"], item["input"])
