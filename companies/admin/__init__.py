"""Staff pages of companies, accounts and the history, one module a subject. Writes go through the services.

May import every room of its app.
"""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin

from companies.admin.companies import CompanyAdmin
from companies.admin.history import AuditEntryAdmin
from companies.admin.sftp import SftpAccountAdmin
from companies.admin.states import StatusAdmin
from companies.admin.users import StaffGroupAdmin, UserAdmin

# The log-in library's pages bypass the services; accounts have one address, on their own page.
for _model in (EmailAddress, Authenticator):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)

__all__ = ["AuditEntryAdmin", "CompanyAdmin", "SftpAccountAdmin", "StaffGroupAdmin", "StatusAdmin", "UserAdmin"]
