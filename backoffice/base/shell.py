"""Pieces that pages repeat: badges, times, addresses, pages of lists, summaries of errors.

Every status is a word with a shape, never a colour alone.
"""

import re
from datetime import date, datetime, timedelta
from typing import Any

from django import forms, template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.core.paginator import Page
from django.http import QueryDict
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.base import endless, paging
from backoffice.text import addresses, times, web_links

register = template.Library()

# Drawn on a 16 × 16 grid, stroke only; `filled` ones are shapes.
_STROKES = {
    "check": "M3 8.5l3.2 3.2L13 4.9",
    "cross": "M4 4l8 8M12 4l-8 8",
    "alert": "M8 2.2L14.6 13.6H1.4zM8 6.4v3.4M8 11.6v.2",
    "clock": "M8 1.8a6.2 6.2 0 100 12.4A6.2 6.2 0 008 1.8M8 4.8V8l2.2 1.6",
    "retry": "M13 8a5 5 0 11-1.6-3.7M13 2.4v2.8h-2.8",
    "minus": "M3.4 8h9.2",
    "copy": "M5.6 5.6h7.6v7.6H5.6zM10.4 5.6V2.8H2.8v7.6h2.8",
    "search": "M7 2.4a4.6 4.6 0 100 9.2 4.6 4.6 0 000-9.2M10.4 10.4l3.4 3.4",
    "menu": "M2.4 4.2h11.2M2.4 8h11.2M2.4 11.8h11.2",
    "down": "M4 6.2l4 4 4-4",
    "up": "M4 9.8l4-4 4 4",
    "right": "M6.2 4l4 4-4 4",
    "left": "M9.8 4l-4 4 4 4",
    "sort": "M5 6.2L8 3l3 3.2M5 9.8L8 13l3-3.2",
    "info": "M8 1.8a6.2 6.2 0 100 12.4A6.2 6.2 0 008 1.8M8 7.2v4M8 4.8v.2",
    "send": "M14 2L7 9M14 2L9.6 14 7 9 2 6.4z",
    "user": "M8 2.2a2.8 2.8 0 100 5.6 2.8 2.8 0 000-5.6M2.6 14a5.4 5.4 0 0110.8 0",
    "print": "M4.4 6V2h7.2v4M4.4 11.4H2.2V6h11.6v5.4h-2.2M4.4 9.4h7.2V14H4.4z",
    "filter": "M2.4 4h11.2M4.8 8h6.4M6.8 12h2.4",
    "help": "M5.8 6.2a2.2 2.2 0 114 1.2c-.6.8-1.8 1-1.8 2.2M8 12v.2M8 1.6a6.4 6.4 0 100 12.8A6.4 6.4 0 008 1.6",
    "more": "M3.6 8v.2M8 8v.2M12.4 8v.2",
    "download": "M8 2v8M4.8 7L8 10.2 11.2 7M2.4 13.6h11.2",
}

# kind of badge → its icon when none is asked for
_KINDS = {"ok": "check", "warn": "alert", "fail": "cross", "wait": "clock", "off": "minus", "info": "info"}


@register.simple_tag
def icon(name: str) -> SafeString:
    """A decorative drawing; the word beside it carries the meaning."""
    return format_html(
        '<svg class="icon icon-{}" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">'
        '<path d="{}"/></svg>',
        name,
        _STROKES[name],
    )


@register.simple_tag
def badge(kind: str, label: str, icon_name: str = "") -> SafeString:
    """A word with a shape. `kind`: ok, warn, fail, wait, off or info."""
    return format_html(
        '<span class="status status-{}">{}<span>{}</span></span>', kind, icon(icon_name or _KINDS[kind]), label
    )


# state of a company or shop, of a user or SFTP account, of an API token, of a delivery → kind of badge, icon
_STATES = {
    "active": ("ok", ""),
    "suspended": ("warn", ""),
    "closed": ("off", ""),
    "invited": ("wait", "send"),
    "locked": ("warn", ""),
    "disabled": ("off", ""),
    "waiting": ("wait", ""),
    "lapsed": ("warn", ""),
    "expired": ("fail", ""),
    "expiring": ("warn", ""),
    "replaced": ("wait", ""),
    "revoked": ("off", ""),
    "queued": ("wait", "clock"),
    "sending": ("wait", "send"),
    "sent": ("ok", "check"),
    "retry": ("warn", "retry"),
    "dead": ("fail", "cross"),
    "cancelled": ("off", "minus"),
    "not_sent": ("fail", "alert"),
}


def named_state_badge(state: str, label: str) -> SafeString:
    """A state in words that the caller has."""
    kind, icon_name = _STATES[state]
    return badge(kind, label, icon_name)


@register.simple_tag
def state_badge(obj: Any) -> SafeString:
    """The state of a company, shop, user, SFTP account or API token in words."""
    if hasattr(obj, "State"):
        return named_state_badge(obj.state, str(obj.State(obj.state).label))
    return named_state_badge(obj.status, obj.get_status_display())


@register.simple_tag
def test_badge(mode: Any) -> SafeString:
    """TEST, for a mode "TEST" or True; nothing otherwise."""
    if mode is True or mode == "TEST":
        return mark_safe('<span class="badge-test">TEST</span>')
    return mark_safe("")


@register.simple_tag
def web_link(url: str) -> SafeString:
    """A link that a merchant typed; a host that looks like another one is shown in its form on the wire."""
    return format_html('<a href="{}" rel="noreferrer">{}</a>', web_links.href(url), web_links.for_display(url))


@register.filter
def clock_time(value: datetime) -> str:
    """10 h 15 in French, 10:15 in English."""
    return times.clock(value)


@register.filter
def day(value: date | None) -> str:
    """25 octobre 2026; empty for None."""
    return times.day(value) if value else ""


@register.filter
def long_moment(value: datetime | None) -> str:
    """25 octobre 2026 à 2 h 30; empty for None."""
    return times.long_moment(value) if value else ""


@register.filter
def short_moment(value: datetime | None) -> str:
    """25/10/2026 à 2 h 30; empty for None."""
    return times.short_moment(value) if value else ""


@register.filter
def exact_time(value: datetime | None) -> str:
    """Date, time and zone in words of the active language and time zone; empty for None."""
    return times.exact(value) if value else ""


@register.simple_tag
def ago(value: datetime | None, empty: str = "–", short: bool = False) -> SafeString | str:
    """A relative time with the exact one on hover and in print; beyond a week, the date itself.

    Args:
        short: the date without its hour, for narrow columns.
    """
    if value is None:
        return empty
    now = timezone.now()
    distance = abs(now - value)
    if distance < timedelta(days=7):
        # Beyond a day nobody counts hours.
        shown = str(naturaltime(now - timedelta(days=distance.days) if value < now and distance.days else value))
    else:
        shown = times.short_day(value) if short else times.short_moment(value)
    return _time(value, shown)


def _time(value: datetime, shown: str) -> SafeString:
    """A time that shows itself exactly on hover and in print."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(timespec="seconds"), exact_time(value), shown
    )


@register.simple_tag
def moment(value: datetime) -> SafeString:
    """A date with its time, the seconds and the zone on hover: after « le »."""
    return _time(value, times.short_moment(value))


@register.simple_tag
def when(value: datetime | None, empty: str = "–") -> SafeString | str:
    """Exact and relative at once, for lists of one line a row: « hier 14:24 »; seconds and zone on hover."""
    return empty if value is None else _time(value, times.row_moment(value, timezone.localdate()))


@register.simple_tag
def address(email: str, url: str = "", copy: bool = True) -> SafeString:
    """An e-mail address that may break after its @, with a copy button where scripts run."""
    if not email:
        return mark_safe("")
    local, at, domain = email.rpartition("@")
    text = format_html('{}{}<wbr><span class="domain">{}</span>', local, at, domain) if at else format_html("{}", email)
    if (plain := addresses.for_display(email)) != email:
        text = format_html('{} <span class="break-all">({})</span>', text, plain)
    if url:
        text = format_html('<a href="{}">{}</a>', url, text)
    button: SafeString | str = ""
    if copy:
        label = _("Copier l'adresse %(email)s") % {"email": email}
        button = format_html(
            '<button type="button" class="copy" data-copy="{}" data-done="{}" aria-label="{}" title="{}" hidden>{}</button>',
            email,
            _("Adresse copiée"),
            label,
            _("Copier"),
            icon("copy"),
        )
    return format_html('<span class="address"><span>{}</span>{}</span>', text, button)


@register.inclusion_tag("includes/pagination.html", takes_context=True)
def pagination(context: Context, page: Page[Any], noun: str = "") -> dict[str, Any]:
    """Pages of a list, with result count and page size; keeps the filters of the URL.

    Args:
        page: from `backoffice.base.paging.paginate`, or from `endless.paginate`.
        noun: what is counted, already in the right number, e.g. « envois ».
    """
    request = context["request"]
    bounded = page.paginator if isinstance(page.paginator, endless.BoundedPaginator) else None
    return {
        "request": request,
        "page": page,
        "is_more": bounded is not None and bounded.is_more,
        "is_sorted": bounded is not None and bool(bounded.sorted_by),
        "older": bounded.older(page) if bounded else "",
        "is_older": bounded is not None and "before" in request.GET,
        "noun": noun or _("résultats"),
        "pages": page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1),
        "ellipsis": page.paginator.ELLIPSIS,
        "sizes": paging.SIZES,
        "kept": [
            (key, value) for key, values in request.GET.lists() if key not in ("page", "size") for value in values
        ],
    }


@register.simple_tag(takes_context=True)
def sort_header(context: Context, label: str, name: str, css: str = "") -> SafeString:
    """A column header that sorts by `name`: `?sort=name`, then `?sort=-name`."""
    request = context["request"]
    current = request.GET.get("sort", "")
    query = request.GET.copy()
    query.pop("page", None)
    query["sort"] = f"-{name}" if current == name else name
    state, mark = {name: ("ascending", "up"), f"-{name}": ("descending", "down")}.get(current, ("", "sort"))
    aria = format_html(' aria-sort="{}"', state) if state else ""
    return format_html(
        '<th scope="col" class="{}"{}><a class="sort" href="?{}">{}{}</a></th>',
        css,
        aria,
        query.urlencode(),
        label,
        icon(mark),
    )


@register.inclusion_tag("includes/empty_state.html")
def empty_state(title: str, text: str = "", url: str = "", action: str = "") -> dict[str, str]:
    """What to read where a list is empty, with the next step."""
    return {"title": title, "text": text, "url": url, "action": action}


@register.inclusion_tag("includes/error_summary.html")
def error_summary(*bound_forms: forms.BaseForm | list[forms.BaseForm] | None) -> dict[str, Any]:
    """The errors of one or several forms, or lists of forms, each linked to its field."""
    items: list[tuple[str, str, str]] = []
    conflict = None
    flat = [form for given in bound_forms for form in (given if isinstance(given, list) else [given])]
    for form in flat:
        # What a template names in vain arrives as an empty text.
        if not isinstance(form, forms.BaseForm) or not form.is_bound:
            continue
        conflict = conflict or getattr(form, "conflict", None)
        items += [("", "", str(error)) for error in form.non_field_errors()]
        for field in form:
            # A hidden field cannot be gone to.
            place = "" if field.is_hidden else field.id_for_label or field.auto_id
            items += [(place, str(field.label), str(error)) for error in field.errors]
    return {"items": items, "conflict": conflict}


@register.simple_block_tag(takes_context=True)
def filter_bar(context: Context, content: str, active: bool = False, label: str = "") -> SafeString:
    """A GET form around filter fields; the sort order and page size of the URL are kept.

    On a phone the search field stays, and the others fold into one button that says how many are in use.

    Args:
        active: True shows « Effacer les filtres ».
    """
    request = context["request"]
    kept = format_html_join(
        "",
        '<input type="hidden" name="{}" value="{}">',
        ((key, request.GET[key]) for key in ("sort", "size") if key in request.GET),
    )
    clear = (
        format_html('<a class="btn btn-link" href="{}">{}</a>', request.path, _("Effacer les filtres"))
        if active
        else ""
    )
    return format_html(
        '<form method="get" action="{}" class="filter-bar" role="search" aria-label="{}">{}{}{}'
        '<div class="filter-actions"><button type="submit" class="btn btn-outline-primary">{}</button>{}</div></form>',
        request.path,
        label or _("Filtres"),
        _filter_fold(content, request.GET),
        content,
        kept,
        _("Filtrer"),
        clear,
    )


_FIELD = re.compile(r"<(?:input|select)\b[^>]*>")
_NAME = re.compile(r'\bname="([^"]+)"')


def _filter_fold(content: str, asked: QueryDict) -> SafeString | str:
    """The button that opens the filters on a phone; none where there is nothing but a search field.

    It stands before what it opens and not around it: wide screens show the fields without it, in every browser.
    """
    fields = [tag for tag in _FIELD.findall(content) if 'type="hidden"' not in tag and 'type="search"' not in tag]
    names = {name for tag in fields for name in _NAME.findall(tag)}
    if not names:
        return ""
    used = sum(any(asked.getlist(name)) for name in names)
    return format_html(
        '<details class="filter-fold"{}><summary class="btn btn-outline-secondary">{}{}{}</summary></details>',
        # What has to be corrected is not hidden.
        " open" if 'aria-invalid="true"' in content else "",
        icon("filter"),
        _("Filtres"),
        format_html(
            ' <span class="count" aria-hidden="true">{}</span><span class="visually-hidden"> {}</span>',
            used,
            ngettext("(%(n)s actif)", "(%(n)s actifs)", used) % {"n": used},
        )
        if used
        else "",
    )


@register.simple_block_tag
def more_menu(content: str, about: str) -> SafeString:
    """The ⋯ menu of a row: links and forms with one button each.

    Args:
        about: what the actions are for, e.g. the name of the row.
    """
    return format_html(
        '<details class="dropdown-menu-plain more-menu"><summary>{}<span class="visually-hidden">{}</span></summary>'
        '<div class="panel panel-end">{}</div></details>',
        icon("more"),
        _("Actions : %(about)s") % {"about": about},
        content,
    )


@register.simple_block_tag
def detail(content: str, label: str) -> SafeString:
    """One row of a `<dl class="details">`."""
    return format_html("<div><dt>{}</dt><dd>{}</dd></div>", label, content)
