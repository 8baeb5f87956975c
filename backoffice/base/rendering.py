"""Typed values on a page that is shown again: complete, unless they exceed what a page may contain.

Named by the setting FORM_RENDERER, so that the forms of the admin and of the log-in follow as well.
"""

from typing import Any

from django import forms
from django.forms.renderers import DjangoTemplates
from django.forms.utils import ErrorList

from backoffice.base import drawn, limits

# Characters of one message; what is longer quotes what was typed.
_LONGEST_MESSAGE = 600
# A value below is shown whole whatever else was sent.
_SHORT = 200


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


class BoundField(forms.BoundField):
    """A field whose value and errors stay within what a page may carry.

    A form of ordinary size shows all that was typed. One that is larger as a whole, which nothing valid
    is, shows the beginning of each long value, in equal shares.
    """

    def value(self) -> Any:
        typed = super().value()
        if isinstance(self.field, forms.ModelChoiceField) and not _may_be_key(self.field, typed):
            # The admin's search box for an object would ask the database for it.
            return ""
        if not self.form.is_bound:
            return typed
        if isinstance(typed, str):
            return self._shown(typed)
        if isinstance(typed, list):
            # Date and time in two boxes, or ticked boxes.
            return [self._shown(item) if isinstance(item, str) else item for item in typed]
        return typed

    def _shown(self, typed: str) -> str:
        return typed if len(typed) <= _SHORT else _cut(typed, _share(self.form))

    def as_widget(self, widget: Any = None, attrs: Any = None, only_initial: bool = False) -> Any:
        # The hidden twin that the framework gives a field with a computed default comes from the request as well.
        typed = self.form.data.get(self.html_initial_name) if only_initial and self.form.is_bound else None
        if isinstance(typed, str) and len(typed) > _share(self.form):
            hidden = widget or self.field.hidden_widget()
            return hidden.render(
                self.html_initial_name, _cut(typed, _share(self.form)), {"id": self.html_initial_id}, self.form.renderer
            )
        return super().as_widget(widget, attrs, only_initial)

    @property
    def errors(self) -> ErrorList:
        errors = super().errors
        messages = [str(message) for message in errors]
        if len(messages) <= limits.MAX_ERRORS + 1 and all(len(message) <= _LONGEST_MESSAGE for message in messages):
            return errors
        told, others = (messages, 0) if len(messages) <= limits.MAX_ERRORS + 1 else limits.summed_up(messages)
        shown = [_cut(message, _LONGEST_MESSAGE) for message in told] + ([limits.and_others(others)] if others else [])
        return ErrorList(shown, error_class=errors.error_class, renderer=self.form.renderer, field_id=self.auto_id)


def _may_be_key(field: "forms.ModelChoiceField[Any]", value: Any) -> bool:
    """Whether a typed value has the form of what an object is chosen by; several values are left to the field."""
    if not isinstance(value, str) or not value or field.queryset is None:
        return True
    meta = field.queryset.model._meta
    try:
        (meta.get_field(field.to_field_name) if field.to_field_name else meta.pk).clean(value, None)
    except forms.ValidationError:
        return False
    return True


def _share(form: Any) -> int:
    """Characters that one value of a form may take on the page; asked of the data once."""
    share: int | None = getattr(form, "_share_of_a_value", None)
    if share is None:
        data = form.data
        every = (data.getlist(name) for name in data) if hasattr(data, "getlist") else ([data[name]] for name in data)
        lengths = [len(value) for values in every for value in values if isinstance(value, str)]
        share = form._share_of_a_value = max(sum(lengths), _SHORT)
        if share > limits.LONGEST_ECHO:
            share = form._share_of_a_value = max(
                _SHORT, limits.LONGEST_ECHO // max(1, sum(length > _SHORT for length in lengths))
            )
    return share


class Renderer(DjangoTemplates):
    bound_field_class = BoundField

    def render(self, template_name: str, context: dict[str, Any], request: Any = None) -> str:
        draw = drawn.DRAWN.get(template_name)
        return draw(context["widget"]).strip() if draw else super().render(template_name, context, request)
