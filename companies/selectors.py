"""Reads for Utilisateurs and Comptes SFTP: lists with their filters, rights as screens show them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from backoffice.base.csv_files import neutral, utc
from backoffice.base.fields import CodeSetField
from companies.models import Company, LoginRecord, Membership, MembershipShop, Role, SftpAccount, User
from companies.rights import access, permissions
from companies.rights import readers as account_readers
from shops.models import Shop

OWN_RIGHTS = "custom"
NAMED_SHOPS = 3
LAST_LOGINS = 5

# --- Users ----------------------------------------------------------------------------------------


def users_filtered(
    users: QuerySet[User],
    company: Company,
    *,
    reader: Membership | None = None,
    q: str = "",
    state: str = "",
    role: str = "",
    shop: str = "",
) -> QuerySet[User]:
    """Narrow a list of users; an empty argument does not filter.

    Args:
        reader: who looks: a shop that they do not see is one that nobody sees. None for all shops.
        q: part of the identifier, a name or the address.
        state: one of User.State.
        role: one of Role, or OWN_RIGHTS for permissions of one's own.
        shop: identifier of a shop that the account can see.
    """
    if q:
        users = users.filter(
            Q(login__icontains=q) | Q(email__icontains=q) | Q(first_name__icontains=q) | Q(last_name__icontains=q)
        )
    if state in User.State.values:
        users = users.filter(account_in_state(state))
    members = account_readers.memberships_of(company)
    if role == OWN_RIGHTS:
        users = users.filter(pk__in=members.filter(permissions__isnull=False).values("user"))
    elif role in Role.values:
        users = users.filter(pk__in=members.filter(role=role, permissions__isnull=True).values("user"))
    if shop and reader is not None and account_readers.shop_is_hidden(reader, shop):
        return users.none()
    if shop:
        users = users.filter(pk__in=_seeing(members, shop).values("user"))
    return users


def account_in_state(state: str) -> Q:
    """The condition for accounts in a `User.state`, for lists; a test compares both."""
    locked = Q(locked_until__gt=timezone.now())
    unusable = Q(password__startswith=UNUSABLE_PASSWORD_PREFIX) | Q(password__exact="")
    match state:
        case User.State.DISABLED:
            return Q(is_active=False)
        case User.State.LOCKED:
            return Q(is_active=True) & locked
        case User.State.INVITED:
            return Q(is_active=True) & unusable & ~locked
    return Q(is_active=True) & ~unusable & ~locked


def _seeing(members: QuerySet[Membership], site_id: str) -> QuerySet[Membership]:
    """The memberships that see a shop: named with a right on it, or by all shops without an exception."""
    named = MembershipShop.objects.filter(membership=OuterRef("pk"), shop__site_id=site_id)
    visible = named.filter(Q(permissions__isnull=True) | Q(permissions__contains=CodeSetField.needle(permissions.VIEW)))
    return members.filter(Q(Exists(visible)) | Q(Q(all_shops=True), ~Exists(named)))


@dataclass
class UserRow:
    """One line of the list of users."""

    account: User
    membership: Membership | None
    role: str
    shops: str
    own: str = ""
    shops_count: int = 0
    own_count: int = 0
    names: list[str] = field(default_factory=list)


def user_rows(users: Any, reader: Membership) -> list[UserRow]:
    """The users of one page with their rights on the shops that the reader sees, in a constant number of queries."""
    accounts = list(users)
    mine = _shops_of_limited(reader)
    seen = Q() if mine is None else Q(grants__shop__in=mine)
    named = Prefetch(
        "grants", _grants(mine).select_related("shop").order_by("shop__site_id")[:NAMED_SHOPS], to_attr="first_grants"
    )
    members = (
        account_readers.memberships_of(reader.company)
        .filter(user__in=accounts)
        .annotate(
            every=Count("grants"),
            named=Count("grants", filter=seen),
            own=Count("grants", filter=seen & Q(grants__permissions__isnull=False)),
        )
        .prefetch_related(named)
    )
    by_user = {member.user_id: member for member in members}
    return [_user_row(account, by_user.get(account.pk)) for account in accounts]


def _shops_of_limited(reader: Membership) -> Any:
    """The keys of the shops that a reader sees, as a query; None where that is all of them."""
    return None if access.sees_all_shops(reader) else access.shops_of(reader).order_by().values("pk")


def _grants(shops: Any) -> QuerySet[MembershipShop]:
    return MembershipShop.objects.all() if shops is None else MembershipShop.objects.filter(shop__in=shops)


def _user_row(account: User, member: Any) -> UserRow:
    if member is None:
        return UserRow(account, None, "–", _("Aucune"))
    names = [grant.shop.name for grant in member.first_grants] if not member.all_shops else []
    counted = ngettext("%(n)d boutique", "%(n)d boutiques", member.named) % {"n": member.named}
    shops = _("Toutes") if member.all_shops else counted if member.named else _("Aucune")
    if not member.all_shops and member.every > member.named:
        shops = _("%(shops)s, et d'autres") % {"shops": counted} if member.named else _("D'autres boutiques")
    own = ngettext("dont %(n)d à droits particuliers", "dont %(n)d à droits particuliers", member.own)
    return UserRow(
        account,
        member,
        role_label(member),
        shops,
        own % {"n": member.own} if member.own else "",
        # What the words count, where they do.
        0 if member.all_shops else member.named,
        member.own,
        names if member.named <= NAMED_SHOPS else [],
    )


def role_label(membership: Membership) -> str:
    """The role of a membership in words; « Droits personnalisés » for permissions of one's own."""
    if membership.permissions is not None:
        return _("Droits personnalisés")
    return str(Role(membership.role).label)


def own_rights(member: Membership, reader: Membership) -> QuerySet[MembershipShop]:
    """The rights of its own that an account has on shops that the reader sees."""
    return _grants(_shops_of_limited(reader)).filter(membership=member, permissions__isnull=False)


USER_HEADER = (
    "login",
    "title",
    "first_name",
    "last_name",
    "email",
    "role",
    "permissions",
    "all_shops",
    "shops",
    "status",
    "last_login",
    "managed_by",
)


def user_csv(users: QuerySet[User], reader: Membership) -> Iterator[list[str]]:
    """Header, then one row a user; `shops` names each shop with rights of its own behind a colon, as far as the
    reader sees them."""
    yield list(USER_HEADER)
    grants_seen = _grants(_shops_of_limited(reader)).select_related("shop").order_by("shop__site_id")
    members = {
        member.user_id: member
        for member in account_readers.memberships_of(reader.company).prefetch_related(Prefetch("grants", grants_seen))
    }
    for account in users.iterator(chunk_size=1000):
        member = members.get(account.pk)
        grants = [
            grant.shop.site_id if grant.permissions is None else f"{grant.shop.site_id}:{_codes(grant.permissions)}"
            for grant in (member.grants.all() if member else ())
        ]
        cells = (
            account.login,
            account.title,
            account.first_name,
            account.last_name,
            account.email,
            (member.role if member.permissions is None else OWN_RIGHTS) if member else "",
            _codes(access.general(member)) if member else "",
            "true" if member and member.all_shops else "false",
            " ".join(grants),
            account.state,
            utc(account.last_login),
            account.company.reference if account.company else "",
        )
        yield [neutral(cell) for cell in cells]


def _codes(codes: frozenset[str]) -> str:
    return "+".join(permissions.ordered(codes)) or "-"


def last_logins(user: User) -> dict[str, Any]:
    """The log-ins of an account: the last ones, and each wrong password of thirty days, as far as they are kept."""
    month = timezone.now() - timedelta(days=30)
    recent = LoginRecord.objects.filter(user=user)
    return {
        "last": list(recent.filter(succeeded=True).order_by("-at", "-pk")[:LAST_LOGINS]),
        "failed": list(recent.filter(succeeded=False, at__gte=month).order_by("-at", "-pk")),
    }


# --- Rights by shop -------------------------------------------------------------------------------

NONE, GENERAL, ALL_RIGHTS = "none", "general", "all"

CHOICES: dict[str, Promise] = {
    GENERAL: gettext_lazy("Comme en général"),
    NONE: gettext_lazy("Pas d'accès"),
    Role.VIEWER: Role.VIEWER.label,
    Role.MANAGER: Role.MANAGER.label,
    ALL_RIGHTS: gettext_lazy("Tous les droits"),
    OWN_RIGHTS: gettext_lazy("Droits personnalisés"),
}
_SETS: dict[str, frozenset[str]] = {
    NONE: permissions.NOTHING,
    Role.VIEWER: permissions.PERMISSIONS[Role.VIEWER],
    Role.MANAGER: permissions.PERMISSIONS[Role.MANAGER],
    ALL_RIGHTS: frozenset(permissions.SHOP_LEVEL),
}


@dataclass
class ShopRow:
    """One shop of « Droits par boutique ».

    Attributes:
        choice: one of CHOICES.
        held: what the account may do there now, or what was ticked and refused.
        grantable: what the editor may grant there.
    """

    shop: Shop
    choice: str
    held: frozenset[str]
    grantable: frozenset[str]

    @property
    def boxes(self) -> list[tuple[str, Promise, bool, bool]]:
        """(code, label, ticked, grantable) of every permission, in order."""
        return [
            (code, permissions.LABELS[code], code in self.held, code in self.grantable)
            for code in permissions.SHOP_LEVEL
        ]

    @property
    def choices(self) -> list[tuple[str, Promise]]:
        """The presets the editor may grant here, and the one in force."""
        return [
            (code, label)
            for code, label in CHOICES.items()
            if code == self.choice or code not in _SETS or _SETS[code] <= self.grantable
        ]


def shop_rows(shops: Any, member: Membership, editor: Membership, typed: QueryDict | None = None) -> list[ShopRow]:
    """The shops of one page with what the account may do on each.

    Args:
        typed: a post that was refused, whose choices are shown again.
    """
    held, mine = access.access_of(member), access.access_of(editor)
    rows = []
    for shop in shops:
        choice, codes = choice_of(held, shop.pk), held.on(shop.pk)
        if typed is not None and (wanted := typed.get(f"choice-{shop.site_id}")) in CHOICES:
            choice, codes = str(wanted), frozenset(typed.getlist(f"own-{shop.site_id}"))
        rows.append(ShopRow(shop, choice, codes, mine.on(shop.pk)))
    return rows


def shop_differences(shops: Any, member: Membership, typed: QueryDict) -> list[tuple[str, str, str]]:
    """(shop, rights stored, rights in the post) where both are not the same."""
    held = access.access_of(member)
    changed = []
    for shop in shops:
        stored, wanted = choice_of(held, shop.pk), typed.get(f"choice-{shop.site_id}", "")
        ticked = frozenset(typed.getlist(f"own-{shop.site_id}"))
        same = stored == wanted and (wanted != OWN_RIGHTS or ticked == held.on(shop.pk))
        if wanted in CHOICES and not same:
            changed.append((shop.name, _choice_in_words(stored, held.on(shop.pk)), _choice_in_words(wanted, ticked)))
    return changed


def _choice_in_words(choice: str, codes: frozenset[str]) -> str:
    if choice != OWN_RIGHTS:
        return str(CHOICES[choice])
    return ", ".join(str(permissions.LABELS[code]) for code in permissions.ordered(codes)) or str(CHOICES[NONE])


def choice_of(held: permissions.Access, shop: int) -> str:
    """The choice that stands for the rights on one shop."""
    if shop not in held.shops:
        return GENERAL if held.all_shops else NONE
    own = held.shops[shop]
    if own is None:
        return GENERAL
    return next((code for code, codes in _SETS.items() if codes == own), OWN_RIGHTS)


def with_choice(
    grants: dict[int, frozenset[str] | None], shop: int, choice: str, ticked: frozenset[str], *, all_shops: bool
) -> None:
    """Put one choice into the grants of a membership.

    Args:
        ticked: the permissions meant by OWN_RIGHTS.
    """
    default = GENERAL if all_shops else NONE
    if choice == default:
        grants.pop(shop, None)
    elif choice == GENERAL:
        grants[shop] = None
    else:
        grants[shop] = permissions.complete(ticked) if choice == OWN_RIGHTS else _SETS[choice]


# --- SFTP accounts --------------------------------------------------------------------------------


def sftp_filtered(accounts: QuerySet[SftpAccount], *, q: str = "", state: str = "") -> QuerySet[SftpAccount]:
    """Narrow a list of SFTP accounts by text and by state (SftpAccount.State)."""
    if q:
        accounts = accounts.filter(Q(login__icontains=q) | Q(email__icontains=q))
    return accounts.filter(_sftp_in_state(state)) if state in SftpAccount.State.values else accounts


def _sftp_in_state(state: str) -> Q:
    """The condition for accounts in an `SftpAccount.state`, for lists; a test compares both."""
    now = timezone.now()
    waiting = ~Q(unrevealed_password="")
    fresh = _made_after(now - timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT))
    valid = _made_after(now - SftpAccount.VALID_FOR)
    match state:
        case SftpAccount.State.DISABLED:
            return Q(is_active=False)
        case SftpAccount.State.WAITING:
            return Q(is_active=True) & waiting & fresh
        case SftpAccount.State.LAPSED:
            return Q(is_active=True) & waiting & ~fresh
        case SftpAccount.State.EXPIRED:
            return Q(is_active=True) & ~waiting & ~valid
    return Q(is_active=True) & ~waiting & valid


def _made_after(moment: Any) -> Q:
    return Q(password_set_at__gt=moment) | Q(password_set_at=None, created_at__gt=moment)


SFTP_HEADER = ("login", "email", "status", "created_at", "password_set_at", "expires_at")


def sftp_csv(accounts: QuerySet[SftpAccount]) -> Iterator[list[str]]:
    yield list(SFTP_HEADER)
    for account in accounts.iterator(chunk_size=1000):
        cells = (
            account.login,
            account.email,
            account.state,
            utc(account.created_at),
            utc(account.password_set_at),
            utc(account.expires_at),
        )
        yield [neutral(cell) for cell in cells]


# Names of columns in the URL → fields. Accounts that never logged in come last either way.
USER_SORTS = {"login": "login", "email": "email", "last_login": "last_login", "state": "is_active"}
SFTP_SORTS = {"login": "login", "email": "email", "password": "password_set_at"}


def ordered(rows: QuerySet[Any], key: str) -> QuerySet[Any]:
    """A list by a sort key of `backoffice.paging.sort_key`, rows without a value last, ties by key."""
    column = F(key.removeprefix("-"))
    order = column.desc(nulls_last=True) if key.startswith("-") else column.asc(nulls_last=True)
    return rows.order_by(order, "pk")
