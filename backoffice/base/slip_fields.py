"""How a form asks about a probable typing mistake in an address: a remark under the field, a button to correct, a box
to keep it.

The form comes back once. Sent again, it keeps what was typed unless the correction was chosen; nothing is refused. The
remark is a part of the control, so it stands in every form, whoever draws it, without scripts.
"""

from functools import cache
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from backoffice.text import addresses, slips


class _Asking:
    """A control that may carry the question; mixed into the class of a control."""

    # (typed, meant) of each slip; set by the field for one form.
    slips: tuple[tuple[str, str], ...] = ()

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        control: SafeString = super().render(name, value, attrs, renderer)  # type: ignore[misc]
        return control + _question(name, self.slips) if self.slips else control


@cache
def _asking(kind: type[forms.Widget]) -> type[forms.Widget]:
    """The same widget with the remark; it keeps its class name, by which templates draw it."""
    return type(kind.__name__, (_Asking, kind), {"__module__": kind.__module__})


def may_ask(field: forms.Field) -> None:
    """Let the control of a field carry the question."""
    if not isinstance(field.widget, _Asking):
        kind: Any = type(field.widget)
        field.widget.__class__ = _asking(kind)


def answered(bound: forms.BoundField, value: Any) -> Any:
    """The value after the question about its slips: as typed, or corrected where that was chosen.

    Raises:
        ValidationError: the question, asked once for what is typed.
    """
    typed = [value] if isinstance(value, str) else list(value or ())
    asked = tuple((one, meant) for one in typed if (meant := slips.suggestion(one)))
    if not asked or not bound.field.has_changed(bound.initial, bound.data):
        return value
    data: Any = bound.form.data
    if data.get(f"{bound.html_name}-slip-of") == _mark(asked):
        if data.get(f"{bound.html_name}-slip") != "fix":
            return value
        corrections = dict(asked)
        mended = addresses.unique(corrections.get(one, one) for one in typed)
        return mended[0] if isinstance(value, str) else mended
    widget: Any = bound.field.widget
    widget.slips = asked
    told = _("Vérifiez l'adresse : est-ce bien %(typed)s ? Choisissez sous le champ, puis enregistrez de nouveau.")
    raise ValidationError(told % {"typed": ", ".join(one for one, _meant in asked[:3])}, code="slip")


def _mark(asked: tuple[tuple[str, str], ...]) -> str:
    return addresses.join(one for one, _meant in asked)


def _question(name: str, asked: tuple[tuple[str, str], ...]) -> SafeString:
    words = {"meant": addresses.join(meant for _one, meant in asked), "typed": _mark(asked)}
    return format_html(
        '<fieldset class="slip mt-2"><legend class="fs-6">{}</legend>'
        '<div class="form-check"><input class="form-check-input" type="radio" name="{}-slip" value="fix" id="{}-slip-fix">'
        '<label class="form-check-label" for="{}-slip-fix">{}</label></div>'
        '<div class="form-check"><input class="form-check-input" type="radio" name="{}-slip" value="keep" id="{}-slip-keep" checked>'
        '<label class="form-check-label" for="{}-slip-keep">{}</label></div>'
        # Last: what follows a legend stands below it, and this has no place of its own.
        '<input type="hidden" name="{}-slip-of" value="{}"></fieldset>',
        _("Vouliez-vous dire %(meant)s au lieu de %(typed)s ?") % words,
        name,
        name,
        name,
        _("Oui, écrire %(meant)s") % words,
        name,
        name,
        name,
        _("Non, garder %(typed)s") % words,
        name,
        _mark(asked),
    )
