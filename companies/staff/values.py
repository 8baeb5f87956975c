"""Times and days on staff pages, in the words of every other page."""

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Any

from django.contrib.admin import helpers
from django.contrib.admin.templatetags import admin_list
from django.contrib.admin.utils import display_for_field, display_for_value

from backoffice.text import times

Words = Callable[[Any], str | None]


def install() -> None:
    """Let the framework's lists and forms draw values with the two functions below.

    It drops the zone of exactly those times that need it, the hour that comes twice, and has neither a setting nor
    a method for that: a column of the model goes before a method of its page. `StaffAdminConfig` calls this once.
    """
    for module, words in ((admin_list, _short), (helpers, _long)):
        drawing = {"display_for_field": partial(_field, words), "display_for_value": partial(_value, words)}
        for name, ours in drawing.items():
            if hasattr(module, name):
                setattr(module, name, ours)


def _field(words: Words, value: Any, field: Any, empty: Any, *args: Any, **kwargs: Any) -> Any:
    said = None if getattr(field, "flatchoices", None) else words(value)
    return display_for_field(value, field, empty, *args, **kwargs) if said is None else said


def _value(words: Words, value: Any, empty: Any, *args: Any, **kwargs: Any) -> Any:
    said = words(value)
    return display_for_value(value, empty, *args, **kwargs) if said is None else said


def _short(value: Any) -> str | None:
    """Times and days as columns have them."""
    if isinstance(value, datetime):
        return times.short_moment(value)
    return times.short_day(value) if isinstance(value, date) else None


def _long(value: Any) -> str | None:
    """Times and days as the page of an object has them."""
    if isinstance(value, datetime):
        return times.long_moment(value)
    return times.day(value) if isinstance(value, date) else None
