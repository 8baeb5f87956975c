"""Who may see what: every view of a merchant starts here.

A stranger's object is a 404 that looks like any 404; a missing right is a 403.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from shops.models import Shop

from . import permissions
from .models import Company, Membership, User

View = Callable[..., HttpResponseBase]
SESSION_COMPANY = "company"


class CompanyRequest(HttpRequest):
    """A request that passed `company_page`."""

    company: Company
    membership: Membership


def memberships(user: User) -> QuerySet[Membership]:
    """The companies a user may act for, the own one first."""
    return user.memberships.select_related("company").order_by("company__name", "pk")


def current_membership(request: HttpRequest) -> Membership | None:
    """The membership the session works under: the one switched to, else the user's own company."""
    if hasattr(request, "_membership"):
        return cast("Membership | None", request._membership)
    found: Membership | None = None
    user = request.user
    if isinstance(user, User) and user.is_active:
        mine = list(memberships(user))
        chosen = request.session.get(SESSION_COMPANY)
        found = next(
            (item for item in mine if item.company_id == chosen),
            next((item for item in mine if item.company_id == user.company_id), mine[0] if mine else None),
        )
    request._membership = found  # type: ignore[attr-defined]
    return found


def company_page(permission: str = permissions.VIEW) -> Callable[[View], View]:
    """Decorate a merchant page: log-in, then a company, then the right.

    Sets `request.company` and `request.membership`. Staff without a company are a 404 here: their
    place is the admin.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            membership = current_membership(request)
            if membership is None:
                raise Http404
            if permission not in rights(membership):
                raise PermissionDenied
            scoped = cast(CompanyRequest, request)
            scoped.company, scoped.membership = membership.company, membership
            return view(scoped, *args, **kwargs)

        wrapped.required_permission = permission  # type: ignore[attr-defined]
        return wrapped

    return decorate


def rights(membership: Membership) -> frozenset[str]:
    """The permissions of a membership."""
    return permissions.PERMISSIONS[membership.role]


def can(membership: Membership, permission: str, shop: Shop | None = None) -> bool:
    """Whether a membership has a right: in the company, or on one shop where `shop` is given."""
    return permission in rights(membership)


def shops_of(membership: Membership) -> QuerySet[Shop]:
    """The shops a membership covers, by identifier."""
    shops = Shop.objects.filter(company_id=membership.company_id)
    if not membership.all_shops:
        shops = shops.filter(pk__in=membership.shops.values("pk"))
    return shops.order_by("site_id")


def shop_or_404(request: CompanyRequest, site_id: str) -> Shop:
    """A shop of the request's membership by identifier; anything else is a plain 404."""
    shop = shops_of(request.membership).select_related("company").filter(site_id=site_id).first()
    if shop is None:
        raise Http404
    return shop
