"""Pages of a list, their size in the URL."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest

SIZES = (25, 50, 100, 200)
DEFAULT_SIZE = 25


def paginate(request: HttpRequest, items: Any, *, default: int = DEFAULT_SIZE) -> Page[Any]:
    """The page of `items` (queryset or list) that `?page=` and `?size=` ask for.

    Values that make no sense give the first, or the last, page rather than an error.
    """
    return Paginator(items, size_of(request, default)).get_page(request.GET.get("page"))


def size_of(request: HttpRequest, default: int = DEFAULT_SIZE) -> int:
    """The rows a page that `?size=` asks for."""
    text = request.GET.get("size", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 and int(text) in SIZES else default


def sort_key(request: HttpRequest, allowed: dict[str, str], *, default: str) -> str:
    """The `order_by` expression for `?sort=name` or `?sort=-name`.

    Args:
        allowed: name in the URL → model field. Other names give `default`.
    """
    wanted = request.GET.get("sort", "")
    field = allowed.get(wanted.removeprefix("-"))
    if field is None:
        return default
    return f"-{field}" if wanted.startswith("-") else field
