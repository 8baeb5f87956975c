"""Model and form fields for e-mail addresses, the same rules on every screen and in every import."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from notifications import addresses


def _raise(error: addresses.InvalidAddress) -> ValidationError:
    return ValidationError(str(error), code="invalid_address")


class OneEmailField(models.CharField):
    """Exactly one address, stored as typed (trimmed)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 254)
        super().__init__(*args, **kwargs)

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        if value and isinstance(value, str) and value.strip():
            try:
                value = addresses.validate_single(value)
            except addresses.InvalidAddress as error:
                raise _raise(error) from error
        elif isinstance(value, str):
            value = ""
        return super().clean(value, model_instance)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": OneEmailFormField, **kwargs})


class EmailListField(models.JSONField):
    """A list of addresses in the order typed, later spellings of the same address left out."""

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValidationError("a list of addresses is expected", code="invalid")
        errors = []
        for item in value:
            try:
                addresses.validate_single(item)
            except addresses.InvalidAddress as error:
                errors.append(_raise(error))
        if errors:
            raise ValidationError(errors)
        return addresses.unique(item.strip() for item in value)

    def formfield(self, **kwargs: Any) -> Any:
        return models.Field.formfield(self, **{"form_class": EmailListFormField, **kwargs})


if TYPE_CHECKING:
    _SetOrNull = models.CharField[frozenset[str] | None, frozenset[str] | None]
else:
    _SetOrNull = models.CharField


class CodeSetField(_SetOrNull):
    """A set of codes, a frozenset in Python, NULL for none given.

    Stored as `" a b "`, so that the database can look for one: `…__contains=CodeSetField.needle("a")`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 500)
        super().__init__(*args, **kwargs)

    @staticmethod
    def needle(code: str) -> str:
        """What to look for with `contains`, to find the rows whose set holds a code."""
        return f" {code} "

    def from_db_value(self, value: str | None, *_args: Any) -> frozenset[str] | None:
        return None if value is None else frozenset(value.split())

    def to_python(self, value: Any) -> frozenset[str] | None:
        return frozenset(value.split()) if isinstance(value, str) else None if value is None else frozenset(value)

    def get_prep_value(self, value: Any) -> str | None:
        codes = self.to_python(value)
        return None if codes is None else f" {' '.join(sorted(codes))} "

    def value_to_string(self, obj: models.Model) -> Any:
        return self.get_prep_value(self.value_from_object(obj))


class OneEmailFormField(forms.CharField):
    """Text input for one address; the typed text comes back unchanged when it is refused."""

    widget = forms.TextInput(
        attrs={"inputmode": "email", "autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
    )

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if not text:
            return text
        try:
            return addresses.validate_single(text)
        except addresses.InvalidAddress as error:
            raise _raise(error) from error


class EmailListFormField(forms.CharField):
    """Several addresses separated by `;` (also `,`, spaces, new lines), each judged alone."""

    widget = forms.Textarea(
        attrs={"rows": 2, "inputmode": "email", "autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
    )

    def prepare_value(self, value: Any) -> Any:
        return addresses.join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        text: str = super().clean(value)
        pieces, errors = [], []
        for piece in addresses.split(text):
            try:
                pieces.append(addresses.validate(piece))
            except addresses.InvalidAddress as error:
                errors.append(_raise(error))
        if errors:
            raise ValidationError(errors)
        return addresses.unique(pieces)

    def has_changed(self, initial: Any, data: Any) -> bool:
        before = initial if isinstance(initial, list) else addresses.split(initial or "")
        return before != addresses.split(data or "")
