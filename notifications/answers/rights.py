"""The right to change the setting behind a notification: which one, who has it, where it is used."""

from django.utils.encoding import force_str
from django.utils.translation import gettext as _

from companies.models import Membership, Role
from companies.rights import access, permissions
from notifications.core.catalogue import BY_CODE, Scope, Source


def needed_permission(notification: str, source: str) -> str:
    """The right that changing the recipients of a notification takes."""
    if BY_CODE[notification].scope is Scope.RULE:
        return permissions.MANAGE_RULES
    if source == Source.SHOP_MANAGER:
        return permissions.EDIT_SETTINGS
    if source in (Source.USER, Source.SFTP_ACCOUNT):
        return permissions.MANAGE_USERS
    return permissions.MANAGE_COMPANY


def may_change(membership: Membership, permission: str, site_id: str | None) -> bool:
    """Whether a user has a right where a setting is: on its shop, or in the company."""
    if site_id and permission in permissions.SHOP_LEVEL:
        return access.has_on_site(membership, permission, site_id)
    return access.can(membership, permission)


def roles_with(permission: str) -> str:
    """The roles that have a right, by name: « Administrateur ou Gestionnaire »."""
    labels = [force_str(role.label) for role in Role if permission in permissions.PERMISSIONS[role]]
    return _(" ou ").join(labels)
