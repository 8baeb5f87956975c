"""The tables of companies, contacts, users, memberships, SFTP accounts, sessions and history, one file a subject.

May import the ground only. No business rule, no effect in `save()`.
"""

from companies.models.companies import (
    Company,
    Contact,
    Language,
    Status,
    Submission,
    reference_validator,
    validate_time_zone,
)
from companies.models.entries import AuditEntry
from companies.models.history import HistoryErasure, HistorySeal, SealedEntry
from companies.models.memberships import Membership, MembershipShop, Role
from companies.models.sftp import SftpAccount
from companies.models.users import KnownDevice, LoginRecord, Session, User, UserManager

__all__ = [
    "AuditEntry",
    "Company",
    "Contact",
    "HistoryErasure",
    "HistorySeal",
    "KnownDevice",
    "Language",
    "LoginRecord",
    "Membership",
    "MembershipShop",
    "Role",
    "SealedEntry",
    "Session",
    "SftpAccount",
    "Status",
    "Submission",
    "User",
    "UserManager",
    "reference_validator",
    "validate_time_zone",
]
