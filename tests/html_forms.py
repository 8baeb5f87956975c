"""The forms of a page as a browser would send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class Form:
    """One form: where it goes, and what it holds untouched.

    Attributes:
        values: name → values in the order of the page; boxes only where ticked, buttons never.
        texts: the names of what is text, typed or hidden: no boxes, no lists to choose from.
    """

    action: str = ""
    values: dict[str, list[str]] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)

    def sent(self, **changes: Any) -> dict[str, list[str]]:
        """What leaves when some of it is typed over; None takes a value away."""
        values = {**self.values, **{name: _listed(value) for name, value in changes.items()}}
        return {name: value for name, value in values.items() if value}


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select = self._text = ""
        self._content: str = ""
        self._chosen: list[str] = []
        self._first: str | None = None
        self._many = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""))
            if given.get("method", "").lower() == "post":
                self.forms.append(self._form)
        if self._form is None:
            return
        name = given.get("name", "")
        if tag == "input" and name and "disabled" not in given:
            kind = given.get("type", "text")
            if kind in ("checkbox", "radio"):
                if "checked" in given:
                    self._add(name, given.get("value", "on"))
            elif kind not in ("submit", "button", "file", "image"):
                self._add(name, given.get("value", ""))
                self._form.texts.add(name)
        elif tag == "textarea" and "disabled" not in given:
            self._text, self._content = name, ""
            self._form.texts.add(name)
        elif tag == "select" and "disabled" not in given:
            self._select, self._chosen, self._first, self._many = name, [], None, "multiple" in given
        elif tag == "option" and self._select:
            self._first = given.get("value", "") if self._first is None else self._first
            if "selected" in given:
                self._chosen.append(given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._text:
            self._content += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea" and self._text:
            # The first line break belongs to the markup.
            self._add(self._text, self._content.removeprefix("\r").removeprefix("\n"))
            self._text = ""
        elif tag == "select" and self._select:
            chosen = self._chosen or ([self._first] if self._first is not None and not self._many else [])
            for value in chosen:
                self._add(self._select, value)
            self._select = ""

    def _add(self, name: str, value: str) -> None:
        if self._form is not None:
            self._form.values.setdefault(name, []).append(value)


def forms_in(response: Any) -> list[Form]:
    """Every form of a page that posts."""
    reader = _Reader()
    reader.feed(response.content.decode())
    return reader.forms


def form_with(response: Any, name: str, action: str = "") -> Form:
    """The form of a page that has a field of this name and, if asked, this address."""
    forms = [form for form in forms_in(response) if name in form.values and (not action or form.action == action)]
    assert forms, f"no form with {name} on the page"
    return forms[0]
