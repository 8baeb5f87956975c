"""Pieces that the forms of settings share."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout
from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.http import HttpRequest


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


def read_only(*bound: forms.BaseForm) -> None:
    """Show forms to somebody who may look but not change."""
    for form in bound:
        for field in form.fields.values():
            field.disabled = True


def carried_number(request: HttpRequest, name: str) -> int | None:
    """The version that a posted page carries; None where it carries none, 0 where it is no number of ours."""
    typed = request.POST.get(name)
    if typed is None:
        return None
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0


class PlainForm(forms.Form):
    """A form without the colon after labels and without HTML5 refusals, which would hide ours."""

    use_required_attribute = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)

    def unchecked(self) -> None:
        """Show what was typed without judging it: nobody has asked to save yet."""
        self._errors = ErrorDict()
        self.cleaned_data: dict[str, Any] = {}
