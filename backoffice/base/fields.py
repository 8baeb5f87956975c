"""Model and form fields for what people type: addresses, texts and links, the same rules on every screen and in
every import.


The fields of models are stored as those of the framework that they derive from, and say so in
migrations: their rules are no matter of the database.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext as _

from backoffice.base import limits, notices, slip_fields
from backoffice.base.typed import CharField, TextField, URLField
from backoffice.text import addresses, characters, web_links

currency_validator = RegexValidator(
    r"^[A-Z]{3}\Z", gettext_lazy("Une devise est un code ISO 4217 de trois lettres (EUR).")
)


def _raise(error: addresses.InvalidAddress) -> ValidationError:
    return ValidationError(str(error), code="invalid_address")


def check_addresses(items: Sequence[str], judge: Callable[[str], str] = addresses.validate) -> list[str]:
    """The addresses of a list trimmed, later spellings of the same one left out.

    Raises ValidationError: there are too many, said before any is looked at; or the first bad ones by name, and how
    many others.
    """
    if len(items) > limits.MAX_ADDRESSES:
        raise ValidationError(limits.too_many(len(items)), code="too_many")
    kept, errors = [], []
    for item in items:
        try:
            kept.append(judge(item))
        except addresses.InvalidAddress as error:
            errors.append(_raise(error))
    if errors:
        told, others = limits.summed_up(errors)
        raise ValidationError([*told, ValidationError(limits.and_others(others))] if others else told)
    return addresses.unique(kept)


class OneEmailField(CharField):
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
        return check_addresses(value, addresses.validate_single)

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


# --- Texts and links ------------------------------------------------------------------------------


def check_visible(text: str, label: object, *, lines: bool) -> None:
    """Refuse a character that hides, reorders or commands, naming it and the field. ValidationError.

    Args:
        label: what the field is called.
        lines: whether the text may have several; a line feed is refused as well otherwise.
    """
    hidden = characters.first_hidden(characters.in_lines(text) if lines else text)
    if not hidden and not lines:
        hidden = next((character for character in text if character in "\t\n"), "")
    if hidden:
        raise ValidationError(
            _("« %(field)s » contient %(what)s (%(code)s) : retirez-le.")
            % {"field": capfirst(str(label)), "what": characters.kind(hidden), "code": characters.name(hidden)},
            code="hidden_character",
        )


def check_readable(text: str, label: object, *, lines: bool) -> None:
    """Refuse what `check_visible` refuses, and links that would be refused alone."""
    check_visible(text, label, lines=lines)
    try:
        web_links.check_text(text)
    except web_links.BadLink as error:
        raise ValidationError(
            _("« %(field)s » : %(reason)s") % {"field": capfirst(str(label)), "reason": error}, code="invalid_link"
        ) from error


def _as_the_framework(field: "models.Field[Any, Any]", told: Any) -> Any:
    """Return the deconstruction of a field with the class of the framework that it derives from."""
    name, _path, arguments, options = told
    framework = next(base for base in type(field).__mro__ if base.__module__.startswith("django.db.models"))
    return name, f"django.db.models.{framework.__name__}", arguments, options


class LineField(CharField):
    """One line of text that others read: nothing unseen in it, see `check_readable`."""

    def deconstruct(self) -> Any:
        return _as_the_framework(self, super().deconstruct())

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        value = super().clean(value, model_instance)
        if isinstance(value, str):
            check_readable(value, self.verbose_name, lines=False)
        return value


class LinesField(TextField):
    """Text of several lines that others read, see `check_readable`."""

    def deconstruct(self) -> Any:
        return _as_the_framework(self, super().deconstruct())

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        value = super().clean(value, model_instance)
        if isinstance(value, str):
            check_readable(value, self.verbose_name, lines=True)
        return value


class LinkField(URLField):
    """A link that people click, see `web_links.check`; stored as typed, trimmed."""

    # Ours are stricter than the framework's, which let ftp:// and user:password@ pass.
    default_validators: list[Any] = []

    def deconstruct(self) -> Any:
        return _as_the_framework(self, super().deconstruct())

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        if isinstance(value, str) and value.strip():
            value = check_link(value)
        return super().clean(value, model_instance)

    def formfield(self, **kwargs: Any) -> Any:
        return models.CharField.formfield(self, **kwargs)


def check_link(url: str) -> str:
    """A link trimmed. Raises ValidationError that names it."""
    try:
        return web_links.check(url)
    except web_links.BadLink as error:
        raise ValidationError(str(error), code="invalid_link") from error


class LinkInput(forms.TextInput):
    """Where a link is typed; a host of other letters than ours stands below in its other spelling.

    Two names may look alike and be two: whoever types one sees which it is.
    """

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        hints = {"inputmode": "url", "autocapitalize": "off", "spellcheck": "false", "placeholder": "https://"}
        super().__init__({**hints, **(attrs or {})})

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        drawn = super().render(name, value, attrs, renderer)
        other = web_links.host_on_the_wire(str(value or ""))
        if not other:
            return drawn
        told = _("Autre écriture du nom de ce site : %(host)s") % {"host": other}
        return format_html('{}<div class="form-text text-break">{}</div>', drawn, told)


class ReadableJSONField(models.JSONField):
    """JSON whose texts others read, see `check_readable`; each may have several lines."""

    def deconstruct(self) -> Any:
        return _as_the_framework(self, super().deconstruct())

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        value = super().clean(value, model_instance)
        for text in texts_in(value):
            check_readable(text, self.verbose_name, lines=True)
        return value


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)


# --- Fields of forms ------------------------------------------------------------------------------


class _SlipsAsked(forms.CharField):
    """Text in which typical slips of addresses are asked about (`slip_fields`)."""

    def __init__(self, *args: Any, asks: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whether a typical slip is asked about: not where one looks for an address.
        self.asks = asks
        slip_fields.may_ask(self)

    def _clean_bound_field(self, bound: Any) -> Any:
        value = super()._clean_bound_field(bound)  # type: ignore[misc]
        return slip_fields.answered(bound, value) if self.asks and not self.disabled else value


class OneEmailFormField(_SlipsAsked):
    """Text input for one address; the typed text comes back unchanged when it is refused.

    What mail programs write is understood: of `"Morel, Claire" <c@x.example>` the address is kept, and
    whoever saves it is told of the name that was not (`notices`).
    """

    widget = forms.TextInput(
        attrs={"inputmode": "email", "autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
    )

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if not text:
            return text
        try:
            address, name = addresses.single(text)
        except addresses.InvalidAddress as error:
            raise _raise(error) from error
        tell_of_names([name] if name else [])
        return address

    def has_changed(self, initial: Any, data: Any) -> bool:
        pieces = addresses.split(data or "")
        return super().has_changed(initial, pieces[0] if len(pieces) == 1 and "<" in data else data)


def tell_of_names(names: list[str]) -> None:
    """Say, once what was typed is saved, that of what was pasted the names were not kept."""
    if not names:
        return
    shown = ", ".join(f"« {characters.one_line(name)[:60]} »" for name in names[:3])
    if len(names) == 1:
        text = _("Seule l'adresse est gardée, sans le nom %(names)s.") % {"names": shown}
    elif len(names) <= 3:
        text = _("Seules les adresses sont gardées, sans les noms %(names)s.") % {"names": shown}
    else:
        text = _("Seules les adresses sont gardées, sans les noms %(names)s et %(n)d autres.") % {
            "names": shown,
            "n": len(names) - 3,
        }
    notices.add(text)


class NamesField(forms.CharField):
    """Identifiers or references, separated by `;`, `,`, spaces or new lines: a list without repeats, in order.

    Its bound is no attribute of the text area: a browser would cut what is pasted without a word.
    """

    widget = forms.Textarea

    def __init__(self, *, most: int = limits.MAX_NAMES, **kwargs: Any) -> None:
        self.most = most
        super().__init__(**kwargs)

    def clean(self, value: Any) -> list[str]:
        text: str = super().clean(value)
        typed = list(dict.fromkeys(addresses.split(text)))
        if len(typed) > self.most:
            raise ValidationError(
                gettext("%(count)s valeurs : cette liste en compte %(most)s au plus.")
                % {"count": limits.grouped(len(typed)), "most": limits.grouped(self.most)}
            )
        if len(text) > limits.LONGEST_LIST:
            raise ValidationError(limits.too_long(len(text), limits.LONGEST_LIST))
        return typed


class StrictJSONField(forms.JSONField):
    """JSON of bounded length and depth, without what no database keeps: a clear refusal where the reader gives up."""

    def __init__(self, *, longest: int = limits.LONGEST_LIST, **kwargs: Any) -> None:
        self.longest = longest
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > self.longest:
            raise ValidationError(limits.too_long(len(value), self.longest))
        try:
            parsed = super().to_python(value)
            if isinstance(parsed, (dict, list)):
                limits.check_json(parsed)
        except (RecursionError, ValueError) as error:
            # ValidationError is an exception of its own, so what the library says about the form goes through.
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": ""}) from error
        return parsed

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except (RecursionError, ValueError):
            return forms.fields.InvalidJSONInput(data)


class EmailListFormField(_SlipsAsked):
    """Several addresses separated by `;` (also `,`, spaces, new lines), each judged alone; names as in
    `OneEmailFormField`.
    """

    widget = forms.Textarea(
        attrs={"rows": 2, "inputmode": "email", "autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
    )

    def prepare_value(self, value: Any) -> Any:
        return addresses.join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        text: str = super().clean(value)
        pieces, names = addresses.named(text)
        # The count says more than the length, and no browser cuts what is pasted for it.
        if len(pieces) <= limits.MAX_ADDRESSES and len(text) > limits.LONGEST_LIST:
            raise ValidationError(limits.too_long(len(text), limits.LONGEST_LIST), code="too_long")
        kept = check_addresses(pieces)
        tell_of_names(names)
        return kept

    def has_changed(self, initial: Any, data: Any) -> bool:
        before = initial if isinstance(initial, list) else addresses.split(initial or "")
        return before != addresses.split(data or "")
