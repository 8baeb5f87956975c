"""One field on a page: its name, what is required, its help and its errors, drawn by crispy-forms for every form."""

import re
from pathlib import Path
from typing import Any

import pytest
from crispy_forms.templatetags.crispy_forms_filters import as_crispy_field
from django import forms
from django.conf import settings

from backoffice.base.forms import PlainForm

TEMPLATES = Path(settings.BASE_DIR) / "templates"


class Asked(PlainForm):
    name = forms.CharField(label="Nom", help_text="Celui du contrat.")
    email = forms.EmailField(label="Adresse", required=False)
    kind = forms.ChoiceField(label="Type", choices=[("a", "A"), ("b", "B")])
    side = forms.ChoiceField(label="Côté", choices=[("l", "Gauche"), ("r", "Droite")], widget=forms.RadioSelect)
    agreed = forms.BooleanField(label="D'accord")
    seen = forms.CharField(widget=forms.HiddenInput, required=False)


def drawn(name: str, data: Any = None) -> str:
    return str(as_crispy_field(Asked(data)[name]))


def label_of(html: str) -> str:
    label = re.search(r"<label[^>]*>(.*?)</label>", html, re.DOTALL)
    assert label
    return re.sub(r"<[^>]+>", "", label[1]).strip()


@pytest.mark.parametrize(("name", "label"), [("name", "Nom"), ("email", "Adresse"), ("kind", "Type")])
def test_the_mark_of_a_required_field_is_no_part_of_its_name(name: str, label: str) -> None:
    assert label_of(drawn(name)) == label


def test_what_is_required_says_so_to_eyes_and_to_readers_of_screens() -> None:
    for name, required in (("name", True), ("kind", True), ("email", False)):
        html = drawn(name)
        assert ('class="required-mark" aria-hidden="true"' in html) is required, name
        assert ('aria-required="true"' in html) is required, name
        assert not re.search(r"\srequired[\s>]", html), "the browser's refusal would hide ours"
    # Roles that know no such attribute, and what nobody sees.
    assert "aria-required" not in drawn("side") + drawn("seen")


def test_choices_stand_under_their_name_in_a_group() -> None:
    html = drawn("side")
    assert re.search(r"<fieldset[^>]*>\s*<legend[^>]*>Côté</legend>", html)
    assert html.count('type="radio"') == 2


def test_help_and_errors_belong_to_the_control() -> None:
    html = drawn("name", {"kind": "a"})
    described = re.search(r'aria-describedby="([^"]+)"', html)
    assert described and set(described[1].split()) == {"id_name_helptext", "id_name_error"}
    assert 'id="id_name_helptext"' in html and 'id="id_name_error"' in html
    assert 'aria-invalid="true"' in html and "is-invalid" in html


def test_a_box_stands_before_its_label() -> None:
    html = drawn("agreed")
    assert html.index("<input") < html.index("<label") and "form-check-input" in html


def test_no_second_template_draws_a_field() -> None:
    """Whatever a field needs, it gets in the one template; pages say which fields they have."""
    drawing = {
        path.relative_to(TEMPLATES).as_posix()
        for path in TEMPLATES.rglob("*.html")
        if "admin" not in path.parts and "field.id_for_label" in path.read_text(encoding="utf-8")
    }
    assert drawing == {"bootstrap5/field.html"}
