"""Form fields rendered to HTML by code: the same output as the framework's templates, in a fraction of their time.

A select of all time zones took 1,200 templates. `tests/backoffice/base/test_drawn.py` compares each with its template.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.formats import localize
from django.utils.html import conditional_escape, escape
from django.utils.safestring import SafeData

Widget = Mapping[str, Any]


def _text(value: Any) -> str:
    """What `stringformat:'s'` makes of a value."""
    return str(value) if isinstance(value, SafeData) else escape(str(value))


def _attributes(widget: Widget) -> str:
    written = []
    for name, value in widget["attrs"].items():
        if value is True:
            written.append(f" {conditional_escape(name)}")
        elif value is not False:
            written.append(f' {conditional_escape(name)}="{_text(value)}"')
    return "".join(written)


def _input(widget: Widget) -> str:
    value = "" if widget["value"] is None else f' value="{_text(widget["value"])}"'
    kind, name = conditional_escape(widget["type"]), conditional_escape(widget["name"])
    return f'<input type="{kind}" name="{name}"{value}{_attributes(widget)}>'


def _textarea(widget: Widget) -> str:
    value = conditional_escape(widget["value"]) if widget["value"] else ""
    return f'<textarea name="{conditional_escape(widget["name"])}"{_attributes(widget)}>\n{value}</textarea>'


def _option(widget: Widget) -> str:
    label = conditional_escape(localize(widget["label"]))
    return f'<option value="{_text(widget["value"])}"{_attributes(widget)}>{label}</option>'


def _select(widget: Widget) -> str:
    lines = [f'<select name="{conditional_escape(widget["name"])}"{_attributes(widget)}>']
    for group, options, _index in widget["optgroups"]:
        if group:
            lines.append(f'  <optgroup label="{conditional_escape(localize(group))}">')
        lines += [f"  {_option(option)}" for option in options]
        if group:
            lines.append("  </optgroup>")
    lines.append("</select>")
    return "\n".join(lines)


_INPUTS = (
    *("checkbox", "color", "date", "datetime", "email", "file", "hidden", "input"),
    *("number", "password", "search", "tel", "text", "time", "url"),
)
# Name of the framework's template → what draws the same. A widget with a template of its own is drawn by that.
DRAWN: dict[str, Callable[[Widget], str]] = {
    **{f"django/forms/widgets/{name}.html": _input for name in _INPUTS},
    "django/forms/widgets/textarea.html": _textarea,
    "django/forms/widgets/select.html": _select,
}
