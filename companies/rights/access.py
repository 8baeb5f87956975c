"""Who may see what: every view of a merchant starts here.

A stranger's object is a 404 that looks like any 404; a missing right is a 403.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base.fields import CodeSetField
from companies.models import Company, Membership, MembershipShop, Status, User
from companies.rights import permissions, reauthentication
from companies.rights.permissions import Access
from companies.status import Closed, closed_sentence
from shops.models import Shop

View = Callable[..., HttpResponseBase]
SESSION_COMPANY = "company"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
# Hidden field of forms without a shop or object in their address, see `includes/opened_under.html`.
OPENED_UNDER = "opened_under"
_OPENED_ELSEWHERE = gettext_lazy(
    "Rien n'est enregistré : ce formulaire avait été ouvert pour une autre société. Vous travaillez maintenant pour %(company)s."
)


class CompanyRequest(HttpRequest):
    """A request that passed `company_page`."""

    company: Company
    membership: Membership
    shop: Shop


def memberships(user: User) -> QuerySet[Membership]:
    """The companies a user may act for, the own one first."""
    return user.memberships.select_related("company").order_by("company__name", "pk")


def memberships_of(request: HttpRequest) -> list[Membership]:
    """`memberships` of who makes a request, read once for it."""
    whose, mine = getattr(request, "_memberships", (None, []))
    # « Voir comme » puts another account in the place of the one that came.
    if whose is None or whose != request.user.pk:
        mine = list(memberships(request.user)) if isinstance(request.user, User) else []
        request._memberships = (request.user.pk, mine)  # type: ignore[attr-defined]
    return mine


def current_membership(request: HttpRequest) -> Membership | None:
    """The membership the session works under: the one switched to, else the user's own company."""
    if hasattr(request, "_membership"):
        return cast("Membership | None", request._membership)
    membership: Membership | None = None
    user = request.user
    if isinstance(user, User) and user.is_active:
        mine = memberships_of(request)
        chosen = request.session.get(SESSION_COMPANY)
        membership = next(
            (item for item in mine if item.company_id == chosen),
            next((item for item in mine if item.company_id == user.company_id), mine[0] if mine else None),
        )
    request._membership = membership  # type: ignore[attr-defined]
    return membership


class ToldDenied(PermissionDenied):
    """A refusal whose message is the sentence to show."""


class ClosedDenied(ToldDenied):
    """A change on a page of a closed company or shop."""


def company_page(permission: str = permissions.VIEW, *, when_closed: bool = False) -> Callable[[View], View]:
    """Decorate a merchant page: log-in, then a company, then the right.

    A right on shops is enough on one shop here; the page itself then asks for the shop at hand, with
    `shop_or_404` or `can`. Sets `request.company` and `request.membership`. Staff without a company
    are a 404 here: their place is the admin. A form that was opened under another company, before a
    switch, is not saved: the user is told and sent home.

    Args:
        when_closed: whether the page takes changes in a closed company too; its service decides which.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            membership = current_membership(request)
            if membership is None:
                raise Http404
            if not can_somewhere(membership, permission):
                raise PermissionDenied
            scoped = cast(CompanyRequest, request)
            scoped.company, scoped.membership = membership.company, membership
            if request.method not in SAFE_METHODS:
                if request.POST.get(OPENED_UNDER, membership.company.reference) != membership.company.reference:
                    messages.error(request, _OPENED_ELSEWHERE % {"company": membership.company.name})
                    return redirect("home")
                if not when_closed:
                    _refuse_closed(scoped)
            try:
                return view(scoped, *args, **kwargs)
            except _Elsewhere as elsewhere:
                return render(request, "companies/accounts/elsewhere.html", {"other": elsewhere.membership})
            except Closed as closed:
                # Whatever page a service refused in, it reads like the refusals above.
                raise ClosedDenied(" ".join(closed.messages)) from closed

        wrapped.required_permission = permission  # type: ignore[attr-defined]
        return wrapped

    return decorate


def fresh_login_required(view: View) -> View:
    """Ask for the password or the second factor again before a page changes accounts or rights.

    Stands below `company_page`, so that a missing right is told first. Reading stays open; what was
    typed is kept and saved once the proof is given, which is good for `ACCOUNT_REAUTHENTICATION_TIMEOUT` seconds.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        asked = None if request.method in SAFE_METHODS else reauthentication.ask_and_go_on(request)
        return view(request, *args, **kwargs) if asked is None else asked

    return wrapped


# --- Rights ---------------------------------------------------------------------------------------


def access_of(membership: Membership) -> Access:
    """What a membership grants; read once per instance, see `forget`."""
    access: Access | None = getattr(membership, "_access", None)
    if access is None:
        named = dict(membership.grants.values_list("shop_id", "permissions")) if membership.pk else {}
        access = Access(general=general(membership), all_shops=membership.all_shops, shops=named)
        membership._access = access  # type: ignore[attr-defined]
    return access


def general(membership: Membership) -> frozenset[str]:
    """The permissions of a membership in general: those of the role, or its own."""
    own = membership.permissions
    return permissions.PERMISSIONS[membership.role] if own is None else frozenset(own)


def forget(membership: Membership) -> None:
    """Read the rights of this instance again next time: they were just changed."""
    membership.__dict__.pop("_access", None)
    membership.__dict__.pop("_sites", None)


_LEFT_WHEN_CLOSED = (permissions.VIEW, permissions.MANAGE_USERS)


def can(membership: Membership, permission: str, shop: Shop | None = None) -> bool:
    """Whether a membership has a right; in a closed company or shop only looking and accounts are left.

    Args:
        shop: asks for this shop. Without one, the answer is about the whole: for a right on shops it
            is yes only when it holds on each shop that the user sees.
    """
    if permission not in _LEFT_WHEN_CLOSED and closed_sentence(membership.company, shop):
        return False
    if shop is None or permission in permissions.COMPANY_LEVEL:
        return access_of(membership).everywhere(permission)
    return shop.company_id == membership.company_id and permission in access_of(membership).on(shop.pk)


def has_on_site(membership: Membership, permission: str, site_id: str) -> bool:
    """`can` for one of the user's shops named by identifier, for tables of many: one query in all."""
    if whole(membership, permission):
        return True
    known: dict[str, frozenset[str]] = membership.__dict__.setdefault("_sites", {})
    if permission not in known:
        known[permission] = frozenset(shops_of(membership, permission).values_list("site_id", flat=True))
    return site_id in known[permission]


def can_somewhere(membership: Membership, permission: str) -> bool:
    """Whether a right holds in the company or on at least one shop: what menus and pages ask.

    To see the company's pages it is enough to be a member.
    """
    return permission == permissions.VIEW or access_of(membership).somewhere(permission)


def sees_all_shops(membership: Membership) -> bool:
    """Whether no shop of the company, present or future, is hidden from the user."""
    access = access_of(membership)
    return access.all_shops and all(own is None or own for own in access.shops.values())


def whole(membership: Membership, permission: str) -> bool:
    """Whether a right holds on every shop of the company and no shop is hidden, in any state.

    What acts for the company as a whole, an API token for example, asks for it.
    """
    return sees_all_shops(membership) and access_of(membership).everywhere(permission)


def shops_of(membership: Membership, permission: str = permissions.VIEW) -> QuerySet[Shop]:
    """The shops on which a membership has a right, by identifier."""
    shops = Shop.objects.filter(company_id=membership.company_id).order_by("site_id")
    grants = MembershipShop.objects.filter(membership=membership)
    in_general = permission in general(membership)
    if permission in permissions.COMPANY_LEVEL:
        return shops_of(membership) if in_general else shops.none()
    needle = CodeSetField.needle(permission)
    if membership.all_shops and in_general:
        without = grants.filter(permissions__isnull=False).exclude(permissions__contains=needle)
        # A membership without exceptions, which is most of them, needs no second look.
        return shops if access_of(membership).is_uniform else shops.exclude(pk__in=without.values("shop"))
    own = Q(permissions__contains=needle)
    named = grants.filter(own | Q(permissions__isnull=True) if in_general else own)
    return shops.filter(pk__in=named.values("shop"))


def open_shops_of(membership: Membership, permission: str = permissions.VIEW) -> QuerySet[Shop]:
    """The shops to choose from for going on with one: those of `shops_of` that are not closed."""
    if permission not in _LEFT_WHEN_CLOSED and closed_sentence(membership.company):
        return Shop.objects.none()
    return shops_of(membership, permission).exclude(status=Status.CLOSED)


def refuse_where_all_is_closed(membership: Membership, permission: str) -> None:
    """Refuse, with the closure as the reason, where a right holds on closed shops only.

    Raises:
        ClosedDenied: the company is closed, or each shop on which the user has the right.
    """
    if sentence := closed_sentence(membership.company):
        raise ClosedDenied(sentence)
    mine = list(shops_of(membership, permission)[:2])
    if mine and not open_shops_of(membership, permission).exists():
        one = closed_sentence(membership.company, mine[0]) if len(mine) == 1 else ""
        raise ClosedDenied(
            one or _("Vos boutiques sont fermées : leur paramétrage se consulte mais ne se modifie plus.")
        )


def shop_or_404(request: CompanyRequest, site_id: str, permission: str = permissions.VIEW) -> Shop:
    """A shop of the request's membership by identifier; anything else is a plain 404.

    Raises:
        PermissionDenied: the user sees the shop but lacks `permission` on it.
    """
    # Whatever is no identifier is not asked of the database, which may refuse its characters.
    if not (site_id.isascii() and site_id.isdigit()):
        raise Http404
    shop = shops_of(request.membership).select_related("company").filter(site_id=site_id).first()
    if shop is None:
        _point_elsewhere(request, site_id)
        raise Http404
    # The shell shows on every page of the shop what its state means.
    request.shop = shop
    if request.method not in SAFE_METHODS or permission not in _LEFT_WHEN_CLOSED:
        _refuse_closed(request, shop)
    if not can(request.membership, permission, shop):
        raise PermissionDenied
    return shop


class _Elsewhere(Exception):
    """The object belongs to another of the user's companies."""

    def __init__(self, membership: Membership) -> None:
        self.membership = membership


def _point_elsewhere(request: CompanyRequest, site_id: str) -> None:
    """For a link to a shop of another company of the same user: offer to switch instead of a 404."""
    if request.method not in SAFE_METHODS:
        return
    user = request.user
    assert isinstance(user, User)
    for membership in memberships(user).filter(company__shops__site_id=site_id):
        if membership.pk != request.membership.pk and shops_of(membership).filter(site_id=site_id).exists():
            raise _Elsewhere(membership)


def denied(request: CompanyRequest, shop: Shop | None) -> PermissionDenied:
    """The refusal of a right that `can` said no to: because of the state where that is why, else of the role."""
    sentence = closed_sentence(request.company, shop)
    return ClosedDenied(sentence) if sentence else PermissionDenied()


def _refuse_closed(request: CompanyRequest, shop: Shop | None = None) -> None:
    if sentence := closed_sentence(request.company, shop):
        raise ClosedDenied(sentence)
