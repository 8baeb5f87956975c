"""The accounts that a request may see, and whether its user may change them."""

from django.shortcuts import get_object_or_404

from companies.models import Membership, User
from companies.rights import access
from companies.rights import readers as account_readers
from companies.rights.access import CompanyRequest


def user_or_404(request: CompanyRequest, key: int) -> User:
    return get_object_or_404(account_readers.users_for(request.membership), pk=key)


def membership_of(request: CompanyRequest, account: User) -> Membership | None:
    return account.memberships.filter(company=request.company).first()


def covers(editor: Membership, member: Membership | None) -> bool:
    """Whether the editor has all rights of the account."""
    return member is None or access.access_of(editor).covers(access.access_of(member))
