"""Writes of accounts by those who manage them: users with their rights, SFTP accounts; always audited."""

from companies.team.services.accounts import account_hold, awaits_first_login, fingerprint, told_changes
from companies.team.services.passwords import (
    password_reset_request,
    user_invite,
    user_password_provisioned,
    user_reset,
    user_set_password,
    user_unlock,
)
from companies.team.services.rights import Grants, Rights
from companies.team.services.sftp import sftp_account_create, sftp_account_update, sftp_password_reset, sftp_reveal
from companies.team.services.users import membership_remove, user_create, user_update

__all__ = [
    "Grants",
    "Rights",
    "account_hold",
    "awaits_first_login",
    "fingerprint",
    "membership_remove",
    "password_reset_request",
    "sftp_account_create",
    "sftp_account_update",
    "sftp_password_reset",
    "sftp_reveal",
    "told_changes",
    "user_create",
    "user_invite",
    "user_password_provisioned",
    "user_reset",
    "user_set_password",
    "user_unlock",
    "user_update",
]
