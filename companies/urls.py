"""Addresses of the account pages and of the company's settings.

The log-in library is mounted view by view, never as a whole: sign-up is closed and its e-mail
pages would go round our services.
"""

from allauth.account import views as allauth_views
from allauth.mfa.base import views as mfa_views
from django.urls import path

from backoffice.base.errors import gone
from companies import views
from companies.accounts import passkeys, second_factors, session_views
from companies.accounts import views as account_views
from companies.rights.reauthentication import renewing
from companies.team import action_views, rights_views, sftp_views
from companies.team import views as user_views

# --- Log-in, log-out, second factor ---------------------------------------------------------------

urlpatterns = [
    path("accounts/login/", allauth_views.login, name="account_login"),
    path("accounts/logout/", allauth_views.logout, name="account_logout"),
    path("accounts/inactive/", allauth_views.account_inactive, name="account_inactive"),
    path("accounts/reauthenticate/", renewing(allauth_views.reauthenticate), name="account_reauthenticate"),
    # The library links to these two names; nothing answers there.
    path("accounts/signup/", gone, name="account_signup"),
    path("accounts/email/", gone, name="account_email"),
    path("accounts/mfa/", mfa_views.index, name="mfa_index"),
    path("accounts/mfa/authenticate/", passkeys.authenticate, name="mfa_authenticate"),
    path("accounts/mfa/reauthenticate/", renewing(mfa_views.reauthenticate), name="mfa_reauthenticate"),
    path("accounts/mfa/totp/activate/", second_factors.activate_totp, name="mfa_activate_totp"),
    path("accounts/mfa/totp/deactivate/", second_factors.deactivate_totp, name="mfa_deactivate_totp"),
    path("accounts/mfa/recovery-codes/", second_factors.view_recovery_codes, name="mfa_view_recovery_codes"),
    path(
        "accounts/mfa/recovery-codes/generate/",
        second_factors.generate_recovery_codes,
        name="mfa_generate_recovery_codes",
    ),
    path(
        "accounts/mfa/recovery-codes/download/",
        second_factors.download_recovery_codes,
        name="mfa_download_recovery_codes",
    ),
    path("accounts/mfa/passkeys/", passkeys.listing, name="mfa_list_webauthn"),
    path("accounts/mfa/passkeys/add/", passkeys.add, name="mfa_add_webauthn"),
    path("accounts/mfa/passkeys/login/", passkeys.login, name="mfa_login_webauthn"),
    path(
        "accounts/mfa/passkeys/reauthenticate/",
        renewing(passkeys.reauthenticate),
        name="mfa_reauthenticate_webauthn",
    ),
    path("accounts/mfa/passkeys/<int:pk>/rename/", passkeys.rename, name="mfa_edit_webauthn"),
    path("accounts/mfa/passkeys/<int:pk>/remove/", passkeys.remove, name="mfa_remove_webauthn"),
]

# --- Own account, passwords, single-use links -----------------------------------------------------

urlpatterns += [
    path("account/", account_views.account, name="account"),
    path("account/sessions/", session_views.sessions, name="account_sessions"),
    path("account/sessions/<uuid:key>/end/", session_views.end, name="account_session_end"),
    path("account/sessions/end-others/", session_views.end_others, name="account_sessions_end_others"),
    path("accounts/password/change/", account_views.password_change, name="account_change_password"),
    path("accounts/password/reset/", account_views.password_reset, name="account_reset_password"),
    path("accounts/password/reset/done/", account_views.password_reset_done, name="account_reset_password_done"),
    path("accounts/set-password/<str:token>/", account_views.set_password, name="account_set_password"),
    path("accounts/login-link/<str:token>/", account_views.login_link, name="account_login_link"),
    path("accounts/sftp-reveal/<str:token>/", account_views.sftp_reveal, name="sftp_reveal"),
]

# --- Paramétrage > Société ------------------------------------------------------------------------

urlpatterns += [
    path("settings/company/", views.company, name="company_settings"),
    path("settings/company/swap/", views.contacts_swap, name="contacts_swap"),
    path("settings/company/technical/remove/", views.technical_remove, name="technical_remove"),
    path("settings/company/users/", user_views.users, name="users"),
    path("settings/company/users/new/", user_views.user_edit, name="user_new"),
    path("settings/company/users/<int:key>/", user_views.user_edit, name="user_edit"),
    path("settings/company/users/<int:key>/shops/", rights_views.user_shops, name="user_shops"),
    *(
        path(
            f"settings/company/users/<int:key>/{action}/",
            action_views.user_action,
            {"action": action},
            name=f"user_{action}",
        )
        for action in action_views.ACTIONS
    ),
    path("settings/company/sftp-accounts/", sftp_views.sftp_accounts, name="sftp_accounts"),
    path("settings/company/sftp-accounts/new/", sftp_views.sftp_account_edit, name="sftp_account_new"),
    path("settings/company/sftp-accounts/<uuid:key>/", sftp_views.sftp_account_edit, name="sftp_account_edit"),
    *(
        path(
            f"settings/company/sftp-accounts/<uuid:key>/{action}/",
            sftp_views.sftp_account_action,
            {"action": action},
            name=f"sftp_account_{action}",
        )
        for action in ("reset", "disable", "enable")
    ),
    path("settings/company/history/", views.company_history, name="company_history"),
    path("settings/company/history/<int:key>/", views.company_history_entry, name="company_history_entry"),
]
