"""Who reads what of accounts and of the history: the one way from a membership to their rows.

Pages, files, searches and counts begin here, so that none of them can show what the membership does
not cover. Staff, commands and services read past it on purpose; `tests/guards/test_readers.py` names them.
"""

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Cast

from backoffice.base.fields import CodeSetField
from companies.models import AuditEntry, Company, Membership, MembershipShop, SftpAccount, User
from companies.rights import access, permissions
from shops.models import Shop

# Objects of the history that belong to the company as a whole. Whatever else has no shop is shown only to
# those who see all shops: a kind added later is hidden until somebody has decided.
_COMPANY_OBJECTS = ("company", "contact", "user", "sftpaccount", "apitoken")
# Noted on the company, about calls of shops that nobody can tell afterwards.
_OF_UNNAMED_SHOPS = ("calls.replay_stopped",)


def manages_accounts(membership: Membership) -> bool:
    """Whether a user may know of the accounts of others."""
    return access.can(membership, permissions.MANAGE_USERS)


def sees_everything(membership: Membership) -> bool:
    """Whether nothing of the company is hidden from a user: no shop, no account."""
    return access.sees_all_shops(membership) and manages_accounts(membership)


# --- Accounts -------------------------------------------------------------------------------------


def users_of(company: Company) -> QuerySet[User]:
    """The accounts a company manages, and those of other companies that have access to it."""
    members = Membership.objects.filter(company=company).values("user")
    return User.objects.filter(Q(company=company) | Q(pk__in=members)).select_related("company")


def users_for(membership: Membership) -> QuerySet[User]:
    """The accounts a user may know of: their own; with the right to manage users, those of the company.

    Whoever does not see all shops has those that see one of the same shops, or no shop at all yet.
    """
    users = users_of(membership.company)
    own = Q(pk=membership.user_id)
    if not manages_accounts(membership):
        return users.filter(own)
    if access.sees_all_shops(membership):
        return users
    return users.filter(own | ~Q(pk__in=_members_elsewhere(membership).values("user")))


def _members_elsewhere(membership: Membership) -> QuerySet[Membership]:
    """The memberships that see shops, and none of those that this one sees."""
    mine = access.shops_of(membership).order_by()
    visible = Q(permissions__isnull=True) | Q(permissions__contains=CodeSetField.needle(permissions.VIEW))
    named = MembershipShop.objects.filter(membership=OuterRef("pk"))
    hiding = MembershipShop.objects.filter(~visible, membership=OuterRef(OuterRef("pk")), shop=OuterRef("pk"))
    common = Q(Exists(named.filter(visible, shop__in=mine.values("pk")))) | Q(
        Q(all_shops=True), Exists(mine.filter(~Exists(hiding)))
    )
    anywhere = Q(all_shops=True) | Q(Exists(named.filter(visible)))
    return Membership.objects.filter(anywhere, ~common, company_id=membership.company_id)


def memberships_of(company: Company) -> QuerySet[Membership]:
    """Every access to a company, for lists that already name the accounts; see `users_for`."""
    return Membership.objects.filter(company=company)


def sftp_accounts_of(company: Company) -> QuerySet[SftpAccount]:
    """The SFTP accounts of a company, for programs whose token covers it."""
    return SftpAccount.objects.filter(company=company)


def sftp_accounts_for(membership: Membership) -> QuerySet[SftpAccount]:
    """The SFTP accounts a user may know of: all of the company, or none. They belong to no shop."""
    accounts = SftpAccount.objects.filter(company_id=membership.company_id).select_related("company")
    return accounts if manages_accounts(membership) else accounts.none()


# --- History --------------------------------------------------------------------------------------


def history_for(membership: Membership) -> QuerySet[AuditEntry]:
    """The entries a user may see, newest first.

    Those of other shops stay out; those of accounts without the right to manage users, else those of accounts
    that `users_for` leaves out; those of API tokens without the keys of the whole company.
    """
    entries = AuditEntry.objects.filter(company_id=membership.company_id).select_related("actor", "shop")
    every_shop = access.sees_all_shops(membership)
    if not manages_accounts(membership):
        # A delivery without a shop may be the mail of an account, named in the entry; so may the address be.
        entries = entries.exclude(object_type__in=("user", "sftpaccount", "addresshealth")).exclude(
            object_type="delivery", shop=None
        )
    elif not every_shop:
        known = users_for(membership).order_by().annotate(key=Cast("pk", CharField())).values("key")
        entries = entries.filter(~Q(object_type="user") | Q(object_id__in=known))
    if not access.whole(membership, permissions.MANAGE_KEYS):
        entries = entries.exclude(object_type="apitoken")
    if not every_shop:
        mine = access.shops_of(membership).order_by().values("pk")
        entries = entries.filter(Q(shop__in=mine) | Q(shop=None, object_type__in=_COMPANY_OBJECTS))
        entries = entries.exclude(action__in=_OF_UNNAMED_SHOPS)
    return entries.order_by("-at", "-pk")


def shop_is_hidden(membership: Membership, site_id: str) -> bool:
    """Whether a shop named by its identifier is none that the user sees."""
    return not access.has_on_site(membership, permissions.VIEW, site_id)


def shops_named(company: Company) -> QuerySet[Shop]:
    """All shops of a company regardless of the reader, to find out whether a text names one."""
    return Shop.objects.filter(company=company).order_by("site_id")
