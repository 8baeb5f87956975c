"""Fields drawn by code are those of the framework's templates."""

from datetime import date
from typing import Any

import pytest
from django import forms
from django.forms.renderers import DjangoTemplates
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from backoffice.base import drawn
from backoffice.base.rendering import Renderer

AWKWARD = '<b>"l\'été" & 1 000</b>'
GROUPED = [
    ("", "—"),
    (AWKWARD, AWKWARD),
    (f"Groupe {AWKWARD}", [(1, 1234567), (2, gettext_lazy("Français")), (None, mark_safe("<i>x</i>"))]),
    (3, 4.5),
]
ATTRS: list[dict[str, Any]] = [
    {},
    {"id": "id_x", "class": AWKWARD, "required": True, "disabled": False, "maxlength": 320, "data-x": None},
    {"title": mark_safe("a&amp;b"), "placeholder": gettext_lazy("Français"), "step": 0.01, AWKWARD: ""},
]
INPUTS = (
    *(forms.CheckboxInput, forms.ColorInput, forms.DateInput, forms.DateTimeInput, forms.EmailInput, forms.FileInput),
    *(forms.HiddenInput, forms.NumberInput, forms.PasswordInput, forms.SearchInput, forms.TelInput, forms.TextInput),
    *(forms.TimeInput, forms.URLInput, forms.Textarea),
)
OTHERS = (forms.CheckboxSelectMultiple, forms.RadioSelect, forms.NullBooleanSelect, forms.SplitDateTimeWidget)


def assert_same(widget: forms.Widget, value: Any, attrs: dict[str, Any]) -> None:
    ours, theirs = (widget.render("a.b", value, attrs, renderer) for renderer in (Renderer(), DjangoTemplates()))
    # Between the options of a select the templates leave empty lines.
    assert ours == (theirs.replace("\n\n", "\n") if isinstance(widget, forms.Select) else theirs)


@pytest.mark.parametrize("attrs", ATTRS, ids=("none", "some", "odd"))
@pytest.mark.parametrize("language", ["fr", "en"])
def test_drawn_fields_are_those_of_the_templates(attrs: dict[str, Any], language: str, settings: Any) -> None:
    settings.LANGUAGE_CODE = language
    for kind in INPUTS:
        for value in (None, "", 0, 1234567, 1.5, AWKWARD, mark_safe("&lt;"), " \n x \n", date(2026, 11, 27), True):
            assert_same(kind(), value, attrs)
    for value in (None, "", 1, "3", AWKWARD):
        assert_same(forms.Select(choices=GROUPED), value, attrs)
    for chosen in ([], [1, "3"], [AWKWARD]):
        assert_same(forms.SelectMultiple(choices=GROUPED), chosen, attrs)
    for other in OTHERS:
        assert_same(other(choices=GROUPED) if issubclass(other, forms.RadioSelect) else other(), None, attrs)


def test_every_drawn_template_is_one_of_the_framework() -> None:
    for name in drawn.DRAWN:
        DjangoTemplates().get_template(name)
