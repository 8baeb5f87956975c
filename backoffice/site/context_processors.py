"""What every page of the shell needs."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from backoffice.site import guide, menu
from backoffice.site.middleware import SecondFactorMiddleware
from companies import status
from companies.rights import access


def shell(request: HttpRequest) -> dict[str, Any]:
    """Company, menu and breadcrumbs for the shell.

    The values are functions or lazy on purpose: pages outside the shell (mails, error pages,
    partial answers) cost no query.
    """
    current = menu.current_entry(request.path)
    return {
        "platform_name": settings.PLATFORM_NAME,
        "mfa_required": lambda: settings.MFA_REQUIRED and SecondFactorMiddleware.concerns(request.user),
        "shell_membership": lambda: access.current_membership(request),
        "shell_memberships": lambda: _memberships(request),
        "shell_notices": lambda: _notices(request),
        "shell_closed": lambda: _is_closed(request),
        "shell_menu": lambda: _menu(request),
        "shell_entry": current[1] if current else None,
        "shell_trail": menu.trail(request.path),
        "shell_help": lambda: guide.help_path(current[1].route if current else ""),
    }


# The switch of the top bar names this many; the page of the user's companies has all.
SWITCH_LIMIT = 8


def _menu(request: HttpRequest) -> list[dict[str, Any]]:
    membership = access.current_membership(request) if request.user.is_authenticated else None
    return menu.visible_menu(membership) if membership else []


def _memberships(request: HttpRequest) -> list[Any]:
    """The companies of the switch, and one more where there are too many to name."""
    if not request.user.is_authenticated:
        return []
    return access.memberships_of(request)[: SWITCH_LIMIT + 1]


def _notices(request: HttpRequest) -> list[status.Notice]:
    """What the state of the company, and of the shop the page is about, means for the merchant."""
    membership = access.current_membership(request) if request.user.is_authenticated else None
    return status.notices(membership.company, getattr(request, "shop", None)) if membership else []


def _is_closed(request: HttpRequest) -> bool:
    """Whether the page is read only regardless of rights."""
    membership = access.current_membership(request) if request.user.is_authenticated else None
    return membership is not None and bool(status.closed_sentence(membership.company, getattr(request, "shop", None)))
