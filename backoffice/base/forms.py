"""Pieces that the forms of settings share."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout
from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.forms.widgets import Input
from django.http import HttpRequest

from backoffice.base.fields import check_visible
from backoffice.base.rendering import BoundField


def section(*layout: Any) -> FormHelper:
    """A crispy helper for one section of a page: no form tag, no buttons of its own."""
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True
    helper.layout = Layout(*layout)
    return helper


def add_errors(form: forms.BaseForm, error: ValidationError) -> None:
    """Put a service's refusal beside the fields it names, or on top."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, problems in error.error_dict.items():
        form.add_error(name if name in form.fields else None, problems)


def carry(form: forms.BaseForm, **values: str) -> None:
    """Redisplay a posted form with these values instead of those sent."""
    data: Any = form.data.copy()  # type: ignore[attr-defined]
    for name, value in values.items():
        data[form.add_prefix(name)] = value
    form.data = data


# Sent by the button that shows what a save would change, and asked for by scripts in the address.
_ASKS, _PART = "show_effect", "effect"


def only_asks(request: HttpRequest) -> bool:
    """Whether a form is sent to see what it would change, not to change it."""
    return request.method == "POST" and (_ASKS in request.POST or wants_part(request))


def wants_part(request: HttpRequest) -> bool:
    """Whether the panel alone is asked for."""
    return request.GET.get("part") == _PART


def read_only(*bound: forms.BaseForm) -> None:
    """Make forms read only."""
    for form in bound:
        for field in form.fields.values():
            field.disabled = True


def carried_number(request: HttpRequest, name: str) -> int | None:
    """The version that a posted page carries; None where it carries none, 0 where it is no number of ours."""
    typed = request.POST.get(name)
    if typed is None:
        return None
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0


def is_text(field: forms.Field) -> bool:
    """Whether people type a text into a field that others will read: no choice, number, date or password."""
    return type(field) is forms.CharField and not isinstance(field.widget, forms.HiddenInput | forms.PasswordInput)


class _PlainField(BoundField):
    """Says that it is required to those who do not see the mark: the attribute of HTML would let the browser refuse."""

    def build_widget_attrs(self, attrs: dict[str, Any], widget: forms.Widget | None = None) -> dict[str, Any]:
        attrs = super().build_widget_attrs(attrs, widget)
        widget = widget or self.field.widget
        is_control = isinstance(widget, Input | forms.Textarea | forms.Select) and not widget.is_hidden
        if self.field.required and is_control:
            attrs.setdefault("aria-required", "true")
        return attrs


class PlainForm(forms.Form):
    """A form without the colon after labels and without HTML5 refusals, which would hide ours.

    Texts that people type into it are refused with what hides or reorders them, beside the field. The models
    refuse it too; here the name is that of the screen.
    """

    use_required_attribute = False
    bound_field_class = _PlainField
    # False where the form judges the characters of its texts itself.
    checks_characters = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)

    def _clean_fields(self) -> None:
        super()._clean_fields()  # type: ignore[misc]
        for name, field in self.fields.items():
            value = self.cleaned_data.get(name)
            if self.checks_characters and isinstance(value, str) and is_text(field):
                try:
                    check_visible(value, field.label or name, lines=isinstance(field.widget, forms.Textarea))
                except ValidationError as error:
                    self.add_error(name, error)

    def unchecked(self) -> None:
        """Show what was typed without validating it."""
        self._errors = ErrorDict()
        self.cleaned_data: dict[str, Any] = {}


class _Filter(forms.Form):
    """A form bound to the query string; `value` gives "" where the text was refused."""

    def value(self, name: str) -> Any:
        self.is_valid()
        return self.cleaned_data.get(name) or ""
