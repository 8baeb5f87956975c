"""Every route × every visitor × every method: an expected answer for each, none missing.

`test_walker` says who may look at what; this says what becomes of the other methods, for the account pages and
the Django admin too. Each answer is undone before the next one is asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponse
from django.test import Client

from companies.audit import Actor
from companies.models import Company, Role, User
from notifications.tokens import token_create
from shops.models import Shop
from tests.factories import ApiTokenFactory, CompanyFactory, StaffFactory, UserFactory
from tests.http.test_walker import EXPECTED
from tests.walk import account_makers, admin_makers, makers_of, put, routes

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

# 302, and where to: the log-in, a proof of identity, or on within the site.
LOGIN, PROOF, ON = "login", "proof", "on"
Answer = int | str
# By: anonymous, viewer, manager, administrator, another company's administrator, staff; identities just proved.
Answers = tuple[Answer, Answer, Answer, Answer, Answer, Answer]

# Nothing to send here; staff have no company.
READ: Answers = (LOGIN, 405, 405, 405, 405, 404)
READ_BY_ALL: Answers = (LOGIN, 405, 405, 405, 405, 405)
ADMIN_READ: Answers = (LOGIN, 403, 403, 405, 405, 404)
MANAGER_READ: Answers = (LOGIN, 403, 405, 405, 405, 404)
# An empty form comes back with its errors.
MANAGER_FORM: Answers = (LOGIN, 403, 200, 200, 404, 404)
# Confirmed: done, and on to what it led to.
MANAGER_DOES: Answers = (LOGIN, 403, ON, ON, 404, 404)
# An empty form names nothing that could be done.
MANAGER_NAMES_NOTHING: Answers = (LOGIN, 403, 404, 404, 404, 404)
ADMIN_FORM: Answers = (LOGIN, 403, 403, 200, 404, 404)
ADMIN_DOES: Answers = (LOGIN, 403, 403, ON, 404, 404)
ADMIN_NAMES_NOTHING: Answers = (LOGIN, 403, 403, 404, 404, 404)
# Names no object: everybody acts on the own company.
ADMIN_FORM_OF_OWN: Answers = (LOGIN, 403, 403, 200, 200, 404)
ADMIN_DOES_IN_OWN: Answers = (LOGIN, 403, 403, ON, ON, 404)
# Of one's own account, whoever one is.
OWN_FORM: Answers = (LOGIN, 200, 200, 200, 200, 200)
OWN_DOES: Answers = (LOGIN, ON, ON, ON, ON, ON)
# Nobody else's; or a second factor that is not set up.
OWN_NOTHING: Answers = (LOGIN, 404, 404, 404, 404, 404)
PUBLIC_READ: Answers = (405, 405, 405, 405, 405, 405)
# Whoever has the link.
PUBLIC_FORM: Answers = (200, 200, 200, 200, 200, 200)
PUBLIC_DOES: Answers = (ON, ON, ON, ON, ON, ON)
NOTHING: Answers = (404, 404, 404, 404, 404, 404)

GETS: dict[str, Answers] = {
    **EXPECTED,
    # With the identity just proved these open.
    "account/sessions/end-others/": (LOGIN, 200, 200, 200, 200, 200),
    "settings/company/api-tokens/new/": ADMIN_FORM_OF_OWN,
    "settings/company/mail-server/edit/": ADMIN_FORM_OF_OWN,
    "settings/company/api-tokens/<int:key>/replace/": ADMIN_FORM,
    "settings/shops/<str:site_id>/keys/<slug:name>/": ADMIN_FORM,
    "settings/shops/<str:site_id>/keys/<slug:name>/show/": ADMIN_FORM,
    "": (LOGIN, 200, 200, 200, 200, ON),
    "accounts/inactive/": (200, 200, 200, 200, 200, 200),
    "accounts/login-link/<str:token>/": (200, 200, 200, 200, 200, 200),
    "accounts/login/": (200, ON, ON, ON, ON, ON),
    "accounts/logout/": (LOGIN, 200, 200, 200, 200, 200),
    "accounts/mfa/": (LOGIN, 200, 200, 200, 200, 200),
    "accounts/mfa/authenticate/": (LOGIN, ON, ON, ON, ON, ON),
    "accounts/mfa/passkeys/": (LOGIN, 200, 200, 200, 200, 200),
    "accounts/mfa/passkeys/<int:pk>/remove/": (LOGIN, 404, 404, 200, 404, 404),
    "accounts/mfa/passkeys/<int:pk>/rename/": (LOGIN, 404, 404, 200, 404, 404),
    "accounts/mfa/passkeys/add/": (LOGIN, 200, 200, 200, 200, 200),
    "accounts/mfa/passkeys/login/": (LOGIN, ON, ON, ON, ON, ON),
    "accounts/mfa/passkeys/reauthenticate/": (LOGIN, PROOF, PROOF, PROOF, PROOF, PROOF),
    "accounts/mfa/reauthenticate/": (LOGIN, PROOF, PROOF, PROOF, PROOF, PROOF),
    "accounts/mfa/recovery-codes/": (LOGIN, 404, 404, 404, 404, 404),
    "accounts/mfa/recovery-codes/download/": (LOGIN, 404, 404, 404, 404, 404),
    "accounts/mfa/recovery-codes/generate/": (LOGIN, 200, 200, 200, 200, 200),
    "accounts/mfa/totp/activate/": (LOGIN, 200, 200, 200, 200, 200),
    "accounts/mfa/totp/deactivate/": (LOGIN, 404, 404, 404, 404, 404),
    "accounts/password/change/": (LOGIN, 200, 200, 200, 200, 200),
    "accounts/password/reset/": (200, 200, 200, 200, 200, 200),
    "accounts/password/reset/done/": (200, 200, 200, 200, 200, 200),
    "accounts/reauthenticate/": (LOGIN, 200, 200, 200, 200, 200),
    "accounts/set-password/<str:token>/": (200, 200, 200, 200, 200, 200),
    "accounts/sftp-reveal/<str:token>/": (200, 200, 200, 200, 200, 200),
    "api/": (404, 404, 404, 404, 404, 404),
    "api/v1/": (404, 404, 404, 404, 404, 404),
    "api/v1/openapi.json": (200, 200, 200, 200, 200, 200),
    "company/": (LOGIN, 405, 405, 405, 405, 405),
    "language/": (405, 405, 405, 405, 405, 405),
    "livez": (200, 200, 200, 200, 200, 200),
    "metrics": (404, 404, 404, 404, 404, 200),
    "readyz": (200, 200, 200, 200, 200, 200),
    "view-as/stop/": (405, 405, 405, 405, 405, 405),
}

POSTS: dict[str, Answers] = {
    "": READ_BY_ALL,
    "account/": OWN_FORM,
    "account/sessions/": READ_BY_ALL,
    "account/sessions/<uuid:key>/end/": OWN_NOTHING,
    "account/sessions/end-others/": OWN_DOES,
    "accounts/email/": NOTHING,
    "accounts/inactive/": PUBLIC_READ,
    "accounts/login-link/<str:token>/": PUBLIC_DOES,
    "accounts/login/": (200, ON, ON, ON, ON, ON),
    "accounts/logout/": (LOGIN, LOGIN, LOGIN, LOGIN, LOGIN, LOGIN),
    "accounts/mfa/": READ_BY_ALL,
    "accounts/mfa/authenticate/": OWN_DOES,
    "accounts/mfa/passkeys/": READ_BY_ALL,
    "accounts/mfa/passkeys/<int:pk>/remove/": (LOGIN, 404, 404, ON, 404, 404),
    "accounts/mfa/passkeys/<int:pk>/rename/": (LOGIN, 404, 404, 200, 404, 404),
    "accounts/mfa/passkeys/add/": OWN_FORM,
    "accounts/mfa/passkeys/login/": OWN_DOES,
    "accounts/mfa/passkeys/reauthenticate/": (LOGIN, PROOF, PROOF, PROOF, PROOF, PROOF),
    "accounts/mfa/reauthenticate/": (LOGIN, PROOF, PROOF, PROOF, PROOF, PROOF),
    "accounts/mfa/recovery-codes/": READ_BY_ALL,
    "accounts/mfa/recovery-codes/download/": OWN_NOTHING,
    "accounts/mfa/recovery-codes/generate/": OWN_FORM,
    "accounts/mfa/totp/activate/": OWN_FORM,
    "accounts/mfa/totp/deactivate/": OWN_NOTHING,
    "accounts/password/change/": OWN_FORM,
    "accounts/password/reset/": PUBLIC_FORM,
    "accounts/password/reset/done/": PUBLIC_READ,
    "accounts/reauthenticate/": OWN_FORM,
    "accounts/set-password/<str:token>/": PUBLIC_FORM,
    "accounts/sftp-reveal/<str:token>/": PUBLIC_FORM,
    "accounts/signup/": NOTHING,
    "api/": NOTHING,
    "api/v1/": NOTHING,
    "api/v1/companies/<reference>": PUBLIC_READ,
    "api/v1/companies/<reference>/delivery-tables": PUBLIC_READ,
    "api/v1/companies/<reference>/explain": PUBLIC_READ,
    "api/v1/companies/<reference>/coverage": PUBLIC_READ,
    "api/v1/bounces/<slug:provider>/": NOTHING,
    "api/v1/deliveries": PUBLIC_READ,
    "api/v1/events": (401, 401, 401, 401, 401, 401),
    "api/v1/openapi.json": PUBLIC_READ,
    "billing/": READ,
    "billing/<uuid:key>/": READ,
    "billing/<uuid:key>/download/": READ,
    "companies/": READ_BY_ALL,
    "company/": OWN_NOTHING,
    "forms/<str:token>/": PUBLIC_FORM,
    "forms/preview/<str:signed>/": PUBLIC_FORM,
    "language/": PUBLIC_DOES,
    "livez": PUBLIC_READ,
    "metrics": PUBLIC_READ,
    "newsletter/unsubscribe/<str:token>/": PUBLIC_FORM,
    "notifications/addresses/": READ,
    "notifications/addresses/map/": READ,
    "notifications/addresses/reactivate/": ADMIN_NAMES_NOTHING,
    "notifications/addresses/replace/": ADMIN_FORM,
    "notifications/addresses/undo/<str:token>/": OWN_NOTHING,
    "notifications/addresses/verify/": ADMIN_NAMES_NOTHING,
    "settings/shops/bulk/": (LOGIN, 403, 200, 200, 200, 404),
    "notifications/by-notification/": READ,
    "notifications/compare/": READ,
    "notifications/coverage/": READ,
    "notifications/coverage/<str:site_id>/<slug:notification>/accept/": ADMIN_FORM,
    "notifications/coverage/<str:site_id>/<slug:notification>/reopen/": ADMIN_DOES,
    "notifications/coverage/company/<slug:notification>/accept/": ADMIN_FORM_OF_OWN,
    "notifications/coverage/company/<slug:notification>/reopen/": ADMIN_DOES_IN_OWN,
    "notifications/coverage/remarks/<int:key>/close/": ADMIN_DOES,
    "search/": READ,
    "keyboard/": READ_BY_ALL,
    "help/": READ_BY_ALL,
    "help/<slug:name>/": READ_BY_ALL,
    "notifications/journal/": READ,
    # Without a button pressed it asks for nothing.
    "notifications/journal/many/": (LOGIN, 404, 404, 404, 404, 404),
    "notifications/journal/filters/": (LOGIN, ON, ON, ON, ON, 404),
    # Somebody else's.
    "notifications/journal/filters/<int:key>/delete/": (LOGIN, 404, 404, 404, 404, 404),
    "notifications/journal/<uuid:key>/": READ,
    "notifications/journal/<uuid:key>/attachments/<int:number>/": READ,
    "notifications/journal/<uuid:key>/cancel/": MANAGER_DOES,
    "notifications/journal/<uuid:key>/html/": READ,
    "notifications/journal/<uuid:key>/replay/": MANAGER_NAMES_NOTHING,
    "notifications/journal/<uuid:key>/resend/": MANAGER_DOES,
    "notifications/journal/replay/": (LOGIN, 403, ON, ON, ON, 404),
    "notifications/replays/<uuid:run>/": READ,
    "notifications/replays/<uuid:run>/stop/": MANAGER_DOES,
    "orders/<str:token>/": PUBLIC_READ,
    "orders/<str:token>/pay/": PUBLIC_DOES,
    "orders/<str:token>/problem/": PUBLIC_FORM,
    "orders/<str:token>/problem/done/": PUBLIC_READ,
    "payment-orders/": READ,
    "payment-orders/<uuid:key>/": READ,
    "payment-orders/<uuid:key>/cancel/": MANAGER_DOES,
    "payment-orders/<uuid:key>/edit/": MANAGER_FORM,
    "payment-orders/<uuid:key>/handed-over/": MANAGER_DOES,
    "payment-orders/<uuid:key>/reactivate/": MANAGER_DOES,
    "payment-orders/<uuid:key>/resend/": MANAGER_DOES,
    "payment-orders/<uuid:key>/validity/": MANAGER_FORM,
    "payment-orders/new/": (LOGIN, 403, 200, 200, 200, 404),
    "payment-orders/preview/<str:site_id>/": MANAGER_FORM,
    "payment-orders/templates/": MANAGER_READ,
    "payment-orders/templates/<str:site_id>/<int:key>/": MANAGER_FORM,
    "payment-orders/templates/<str:site_id>/<int:key>/delete/": MANAGER_DOES,
    "payment-orders/templates/<str:site_id>/<int:key>/duplicate/": MANAGER_DOES,
    "payment-orders/templates/<str:site_id>/new/": MANAGER_FORM,
    "readyz": PUBLIC_READ,
    "notifications/why/": READ,
    "reports/consistency/": READ,
    "reports/consistency/run/": ADMIN_DOES_IN_OWN,
    "settings/company/": ADMIN_FORM_OF_OWN,
    "settings/company/api-tokens/": ADMIN_READ,
    "settings/company/api-tokens/<int:key>/": ADMIN_READ,
    "settings/company/api-tokens/<int:key>/replace/": ADMIN_FORM,
    "settings/company/api-tokens/<int:key>/revoke/": ADMIN_DOES,
    "settings/company/api-tokens/new/": ADMIN_FORM_OF_OWN,
    "settings/company/authentication/": READ,
    "settings/company/authentication/<int:key>/activate/": MANAGER_DOES,
    "settings/company/history/": READ,
    "settings/company/history/<int:key>/": READ,
    "settings/company/sftp-accounts/": ADMIN_READ,
    "settings/company/sftp-accounts/<uuid:key>/": ADMIN_FORM,
    "settings/company/sftp-accounts/<uuid:key>/disable/": ADMIN_DOES,
    "settings/company/sftp-accounts/<uuid:key>/enable/": ADMIN_DOES,
    "settings/company/sftp-accounts/<uuid:key>/reset/": ADMIN_DOES,
    "settings/company/sftp-accounts/new/": ADMIN_FORM_OF_OWN,
    "settings/company/mail-server/": ADMIN_READ,
    "settings/company/mail-server/edit/": ADMIN_FORM_OF_OWN,
    "settings/company/mail-server/remove/": ADMIN_DOES_IN_OWN,
    "settings/company/swap/": ADMIN_DOES_IN_OWN,
    "settings/company/technical/remove/": ADMIN_DOES_IN_OWN,
    "settings/company/users/": ADMIN_READ,
    "settings/company/users/<int:key>/": ADMIN_FORM,
    "settings/company/users/<int:key>/disable/": ADMIN_DOES,
    "settings/company/users/<int:key>/enable/": ADMIN_DOES,
    "settings/company/users/<int:key>/invite/": ADMIN_DOES,
    "settings/company/users/<int:key>/remove/": ADMIN_DOES,
    "settings/company/users/<int:key>/reset/": ADMIN_DOES,
    "settings/company/users/<int:key>/shops/": (LOGIN, 403, 403, 403, 404, 404),
    "settings/company/users/<int:key>/unlock/": ADMIN_DOES,
    "settings/company/users/new/": ADMIN_FORM_OF_OWN,
    "settings/notification-rules/": READ,
    "settings/notification-rules/<str:site_id>/<slug:reference>/": MANAGER_FORM,
    "settings/notification-rules/<str:site_id>/<slug:reference>/content/": MANAGER_FORM,
    "settings/notification-rules/<str:site_id>/<slug:reference>/content/preview/": READ,
    "settings/notification-rules/<str:site_id>/<slug:reference>/content/restore/": MANAGER_DOES,
    "settings/notification-rules/<str:site_id>/<slug:reference>/copy/": MANAGER_FORM,
    "settings/notification-rules/address/": (LOGIN, 403, 200, 200, 200, 404),
    "settings/notification-rules/<str:site_id>/<slug:reference>/delete/": MANAGER_DOES,
    "settings/notification-rules/<str:site_id>/<slug:reference>/duplicate/": MANAGER_DOES,
    "settings/notification-rules/<str:site_id>/<slug:reference>/switch/": MANAGER_NAMES_NOTHING,
    "settings/notification-rules/<str:site_id>/tests/<uuid:run>/": MANAGER_READ,
    "settings/notification-rules/all/": READ,
    "settings/notification-rules/create/<str:site_id>/": MANAGER_READ,
    "settings/notification-rules/create/<str:site_id>/<uuid:draft>/<slug:step>/": MANAGER_DOES,
    "settings/shops/": READ,
    "settings/shops/<str:site_id>/configuration/": MANAGER_FORM,
    "settings/shops/<str:site_id>/contracts/": READ,
    "settings/shops/<str:site_id>/contracts/<int:key>/": MANAGER_FORM,
    "settings/shops/<str:site_id>/contracts/<int:key>/remove/": MANAGER_DOES,
    "settings/shops/<str:site_id>/contracts/new/": MANAGER_FORM,
    "settings/shops/<str:site_id>/data-form/": MANAGER_DOES,
    "settings/shops/<str:site_id>/data-form/answers/": READ,
    "settings/shops/<str:site_id>/data-form/answers/<uuid:key>/": READ,
    "settings/shops/<str:site_id>/data-form/answers/<uuid:key>/erase/": MANAGER_DOES,
    "settings/shops/<str:site_id>/data-form/cancel-request/": MANAGER_DOES,
    "settings/shops/<str:site_id>/data-form/copy-live/": MANAGER_DOES,
    "settings/shops/<str:site_id>/data-form/fields/": MANAGER_NAMES_NOTHING,
    "settings/shops/<str:site_id>/data-form/go-live/": MANAGER_DOES,
    "settings/shops/<str:site_id>/data-form/preview/": READ,
    "settings/shops/<str:site_id>/data-form/texts/": MANAGER_FORM,
    "settings/shops/<str:site_id>/data-form/versions/": READ,
    "settings/shops/<str:site_id>/data-form/withdraw/": MANAGER_DOES,
    "settings/shops/<str:site_id>/keys/": ADMIN_FORM,
    "settings/shops/<str:site_id>/keys/<slug:name>/": ADMIN_FORM,
    "settings/shops/<str:site_id>/keys/<slug:name>/show/": ADMIN_FORM,
    "settings/shops/<str:site_id>/keys/tests-done/": ADMIN_FORM,
    "settings/shops/contracts/": READ,
    "settings/shops/data-form/": READ,
    "settings/shops/keys/": READ,
    "settings/shops/new/": ADMIN_FORM_OF_OWN,
    "status/": PUBLIC_READ,
    "support/": PUBLIC_READ,
    "status/feed/": PUBLIC_READ,
    "verify/<str:token>/": PUBLIC_DOES,
    "view-as/stop/": PUBLIC_DOES,
    "why/<str:token>/": PUBLIC_DOES,
}

# Staff's answers to GET and POST; everybody else is sent to the log-in.
STAFF: dict[str, tuple[Answer, Answer]] = {
    "admin/": (200, 200),
    "admin/(?P<url>.*)$": (404, 404),
    "admin/^(?P<app_label>auth|companies|notifications|shops)/$": (200, 200),
    "admin/atelier/": (200, 405),
    "admin/atelier/<str:key>/": (200, 405),
    "admin/atelier/<str:key>/html/": (200, 405),
    "admin/atelier/<str:key>/send/": (405, ON),
    "admin/auth/group/": (200, 200),
    "admin/auth/group/<path:object_id>/": (ON, ON),
    "admin/auth/group/<path:object_id>/change/": (200, 200),
    "admin/auth/group/<path:object_id>/delete/": (200, 200),
    "admin/auth/group/<path:object_id>/history/": (200, 200),
    "admin/auth/group/add/": (200, 200),
    "admin/autocomplete/": (403, 405),
    "admin/companies/auditentry/": (200, 200),
    "admin/companies/auditentry/<path:object_id>/": (ON, ON),
    "admin/companies/auditentry/<path:object_id>/change/": (200, 403),
    "admin/companies/auditentry/<path:object_id>/delete/": (403, 403),
    "admin/companies/auditentry/<path:object_id>/history/": (200, 200),
    "admin/companies/auditentry/add/": (403, 403),
    "admin/companies/company/": (200, 200),
    "admin/companies/company/<path:object_id>/": (ON, ON),
    "admin/companies/company/<path:object_id>/change/": (200, 200),
    "admin/companies/company/<path:object_id>/delete/": (403, 403),
    "admin/companies/company/<path:object_id>/history/": (200, 200),
    "admin/companies/company/add/": (200, 200),
    "admin/companies/sftpaccount/": (200, 200),
    "admin/companies/sftpaccount/<path:object_id>/": (ON, ON),
    "admin/companies/sftpaccount/<path:object_id>/change/": (200, 200),
    "admin/companies/sftpaccount/<path:object_id>/delete/": (403, 403),
    "admin/companies/sftpaccount/<path:object_id>/history/": (200, 200),
    "admin/companies/sftpaccount/add/": (200, 200),
    "admin/companies/user/": (200, 200),
    "admin/companies/user/<int:key>/view-as/": (200, 200),
    "admin/companies/user/<path:object_id>/": (ON, ON),
    "admin/companies/user/<path:object_id>/change/": (200, 200),
    "admin/companies/user/<path:object_id>/delete/": (403, 403),
    "admin/companies/user/<path:object_id>/history/": (200, 200),
    "admin/companies/user/add/": (200, 200),
    "admin/jsi18n/": (200, 405),
    "admin/notifications/addresshealth/": (200, 200),
    "admin/notifications/addresshealth/<path:object_id>/": (ON, ON),
    "admin/notifications/addresshealth/<path:object_id>/change/": (200, 403),
    "admin/notifications/addresshealth/<path:object_id>/delete/": (403, 403),
    "admin/notifications/addresshealth/<path:object_id>/history/": (200, 200),
    "admin/notifications/addresshealth/add/": (403, 403),
    "admin/notifications/apitoken/": (200, 200),
    "admin/notifications/apitoken/<path:object_id>/": (ON, ON),
    "admin/notifications/apitoken/<path:object_id>/change/": (200, ON),
    "admin/notifications/apitoken/<path:object_id>/delete/": (403, 403),
    "admin/notifications/apitoken/<path:object_id>/history/": (200, 200),
    "admin/notifications/apitoken/add/": (200, 200),
    "admin/notifications/delivery/": (200, 200),
    "admin/notifications/delivery/<uuid:key>/files/<int:number>/": (200, 405),
    "admin/notifications/delivery/<uuid:key>/mail/": (200, 405),
    "admin/notifications/delivery/<path:object_id>/": (ON, ON),
    "admin/notifications/delivery/<path:object_id>/change/": (200, 403),
    "admin/notifications/delivery/<path:object_id>/delete/": (403, 403),
    "admin/notifications/delivery/<path:object_id>/history/": (200, 200),
    "admin/notifications/delivery/add/": (403, 403),
    "admin/notifications/event/": (200, 200),
    "admin/notifications/event/<path:object_id>/": (ON, ON),
    "admin/notifications/event/<path:object_id>/change/": (200, 403),
    "admin/notifications/event/<path:object_id>/delete/": (403, 403),
    "admin/notifications/event/<path:object_id>/history/": (200, 200),
    "admin/notifications/event/add/": (403, 403),
    "admin/notifications/incident/": (200, 200),
    "admin/notifications/incident/<path:object_id>/": (ON, ON),
    "admin/notifications/incident/<path:object_id>/change/": (200, 200),
    "admin/notifications/incident/<path:object_id>/delete/": (403, 403),
    "admin/notifications/incident/<path:object_id>/history/": (200, 200),
    "admin/notifications/incident/add/": (200, 200),
    "admin/notifications/newsletter/": (200, 200),
    "admin/notifications/newsletter/<int:key>/cancel/": (405, 200),
    "admin/notifications/newsletter/<int:key>/pause/": (405, ON),
    "admin/notifications/newsletter/<int:key>/preview/": (200, 405),
    "admin/notifications/newsletter/<int:key>/preview/<str:language>/": (200, 405),
    "admin/notifications/newsletter/<int:key>/progress/": (200, 405),
    "admin/notifications/newsletter/<int:key>/resume/": (405, ON),
    "admin/notifications/newsletter/<int:key>/send/": (405, 200),
    "admin/notifications/newsletter/<int:key>/try/": (405, ON),
    "admin/notifications/newsletter/<path:object_id>/": (ON, ON),
    "admin/notifications/newsletter/<path:object_id>/change/": (200, 200),
    "admin/notifications/newsletter/<path:object_id>/delete/": (403, 403),
    "admin/notifications/newsletter/<path:object_id>/history/": (200, 200),
    "admin/notifications/newsletter/add/": (200, 200),
    "admin/notifications/notificationrule/": (200, 200),
    "admin/notifications/notificationrule/<path:object_id>/": (ON, ON),
    "admin/notifications/notificationrule/<path:object_id>/change/": (200, 200),
    "admin/notifications/notificationrule/<path:object_id>/delete/": (403, 403),
    "admin/notifications/notificationrule/<path:object_id>/history/": (200, 200),
    "admin/notifications/notificationrule/add/": (200, 200),
    "admin/password_change/": (ON, ON),
    "admin/password_change/done/": (200, 405),
    "admin/r/<path:content_type_id>/<path:object_id>/": (404, 404),
    "admin/search/": (200, 405),
    "admin/sending/": (200, 200),
    "admin/sending/limits/": (405, 200),
    "admin/sending/limits/<int:key>/end/": (405, ON),
    "admin/sending/<int:key>/resume/": (405, ON),
    "admin/shops/billingdocument/": (200, 200),
    "admin/shops/billingdocument/<path:object_id>/": (ON, ON),
    "admin/shops/billingdocument/<path:object_id>/change/": (200, 403),
    "admin/shops/billingdocument/<path:object_id>/delete/": (403, 403),
    "admin/shops/billingdocument/<path:object_id>/history/": (200, 200),
    "admin/shops/billingdocument/<uuid:key>/credit/": (200, ON),
    "admin/shops/billingdocument/<uuid:key>/pdf/": (200, 405),
    "admin/shops/billingdocument/add/": (403, 403),
    "admin/shops/billingdocument/drafts/<uuid:key>/": (200, ON),
    "admin/shops/billingdocument/drafts/<uuid:key>/pdf/": (200, 405),
    "admin/shops/billingdocument/issue/": (200, 200),
    "admin/shops/billingdocument/upload/": (200, 200),
    "admin/shops/dataformversion/": (200, 200),
    "admin/shops/dataformversion/<path:object_id>/": (ON, ON),
    "admin/shops/dataformversion/<path:object_id>/change/": (200, 200),
    "admin/shops/dataformversion/<path:object_id>/delete/": (403, 403),
    "admin/shops/dataformversion/<path:object_id>/history/": (200, 200),
    "admin/shops/dataformversion/add/": (403, 403),
    "admin/shops/paymentorder/": (200, 200),
    "admin/shops/paymentorder/<path:object_id>/": (ON, ON),
    "admin/shops/paymentorder/<path:object_id>/change/": (200, 403),
    "admin/shops/paymentorder/<path:object_id>/delete/": (403, 403),
    "admin/shops/paymentorder/<path:object_id>/history/": (200, 200),
    "admin/shops/paymentorder/add/": (403, 403),
    "admin/shops/pricelist/": (200, 200),
    "admin/shops/pricelist/<path:object_id>/": (ON, ON),
    "admin/shops/pricelist/<path:object_id>/change/": (200, 200),
    "admin/shops/pricelist/<path:object_id>/delete/": (403, 403),
    "admin/shops/pricelist/<path:object_id>/history/": (200, 200),
    "admin/shops/pricelist/add/": (200, 200),
    "admin/shops/shop/": (200, 200),
    "admin/shops/shop/<path:object_id>/": (ON, ON),
    "admin/shops/shop/<path:object_id>/change/": (200, 200),
    "admin/shops/shop/<path:object_id>/delete/": (403, 403),
    "admin/shops/shop/<path:object_id>/history/": (200, 200),
    "admin/shops/shop/add/": (200, 200),
    "admin/support/addresses/": (200, 405),
    "admin/support/erase/": (ON, ON),
    "admin/support/export/": (405, ON),
}
# The admin's door is the site's own; who is logged in and may not enter is told so.
DOORS: dict[str, tuple[Answers, Answers]] = {
    "admin/login/": ((LOGIN, 403, 403, 403, 403, LOGIN), (LOGIN, 403, 403, 403, 403, LOGIN)),
    "admin/logout/": ((ON, ON, ON, ON, ON, 405), (ON, ON, ON, ON, ON, 200)),
}
# By: a token of the company, of the platform, of another company. On pages a token is nobody.
API: dict[str, dict[str, tuple[int, int, int]]] = {
    "api/v1/events": {"GET": (405, 405, 405), "POST": (415, 415, 415)},
    "api/v1/deliveries": {"GET": (200, 200, 200), "POST": (405, 405, 405)},
    # Whoever does not say which version is changed is asked for it.
    "api/v1/companies/<reference>": {"GET": (200, 200, 404), "POST": (405, 405, 405), "PUT": (428, 428, 404)},
    "api/v1/companies/<reference>/delivery-tables": {"GET": (200, 200, 404), "POST": (405, 405, 405)},
    # A question names an address at least.
    "api/v1/companies/<reference>/explain": {"GET": (422, 422, 404), "POST": (405, 405, 405)},
    "api/v1/companies/<reference>/coverage": {"GET": (200, 200, 404), "POST": (405, 405, 405)},
}
# No such thing, however it is asked for: a provider of mail without its secret among them.
UNKNOWN = ("api/", "api/v1/", "api/v1/bounces/<slug:provider>/")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Pages are read and posted to; these take another method as well.
OTHERS: dict[tuple[str, str], Answers] = {("api/v1/companies/<reference>", "PUT"): (401,) * 6}


def expected(route: str, method: str) -> Answers:
    """The answers of the six visitors with cookies."""
    if (route, method) in OTHERS:
        return OTHERS[route, method]
    if method not in ("GET", "POST"):
        return (404,) * 6 if route in UNKNOWN else (405,) * 6
    if route in STAFF:
        return (LOGIN,) * 5 + (STAFF[route][method == "POST"],)
    if route in DOORS:
        return DOORS[route][method == "POST"]
    return (GETS if method == "GET" else POSTS)[route]


def matches(wanted: Answer, answer: HttpResponse) -> bool:
    if answer.status_code != 302:
        return wanted == answer.status_code
    where = answer.headers["Location"]
    kind = ON
    if where.startswith(("/accounts/login/", "/admin/login/")):
        kind = LOGIN
    elif where.startswith("/accounts/reauthenticate/"):
        kind = PROOF
    return wanted in (302, kind)


ALL = sorted(set(routes(admin=True)))


def test_every_route_has_an_expectation_for_every_method() -> None:
    named = {*STAFF, *DOORS}
    assert [route for route in ALL if route not in named and not (route in GETS and route in POSTS)] == []
    assert {*GETS, *POSTS, *named} - set(ALL) == set()


class Undo(Exception):
    """Leaves a block and undoes what it wrote."""


@contextmanager
def undone() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
            raise Undo
    except Undo:
        cache.clear()


def ask(client: Client, method: str, url: str) -> Any:
    """An answer, of which neither the database nor the client keeps anything."""
    if method not in ("GET", "POST"):
        # Refused before anything is read or written.
        return client.generic(method, url)
    kept = {name: morsel.value for name, morsel in client.cookies.items()}
    with undone():
        answer = client.generic(method, url, content_type="application/x-www-form-urlencoded")
    client.cookies.clear()
    for name, value in kept.items():
        client.cookies[name] = value
    return answer


@pytest.fixture
def fill(company: Company, shop: Shop, claire: User) -> Callable[[str], str]:
    """A function that puts objects of the company into a route."""
    makers = {
        "api-tokens/<int:key>": lambda: f"api-tokens/{ApiTokenFactory(company=company).pk}",
        **admin_makers(shop),
        **account_makers(claire),
        **makers_of(company, shop),
    }
    return lambda route: put(route, makers)


@pytest.fixture
def visitors(company: Company, claire: User, client_for: Callable[..., Client]) -> dict[str, Client]:
    def logged_in(user: User) -> Client:
        return client_for(user, fresh=True)

    def bearer(of: Company | None) -> Client:
        _token, text = token_create(name="ERP", company=of, actor=Actor.command("test"))
        return Client(headers={"authorization": f"Bearer {text}"})

    other = CompanyFactory(reference="autre")
    return {
        "anonymous": Client(),
        "viewer": logged_in(UserFactory(company=company, role=Role.VIEWER)),
        "manager": logged_in(UserFactory(company=company, role=Role.MANAGER)),
        "administrator": logged_in(claire),
        "stranger": logged_in(UserFactory(company=other, role=Role.ADMINISTRATOR)),
        "staff": logged_in(StaffFactory()),
        "token": bearer(company),
        "platform token": bearer(None),
        "other token": bearer(other),
    }


def _area(route: str) -> str:
    """Routes that are walked together: one company for all of them."""
    return "/".join(route.split("/")[:2])


@pytest.mark.parametrize("area", sorted({_area(route) for route in ALL}))
def test_each_visitor_gets_the_expected_answer_to_each_method(
    area: str, visitors: dict[str, Client], fill: Callable[[str], str]
) -> None:
    wrong = []
    missing: dict[tuple[str, bool], set[bytes]] = {}
    for route in (route for route in ALL if _area(route) == area):
        with undone():
            url = fill(route)
            for method in METHODS:
                wanted = expected(route, method)
                wanted += API.get(route, {}).get(method) or (wanted[0],) * 3
                for (name, client), one in zip(visitors.items(), wanted, strict=True):
                    answer = ask(client, method, url)
                    if not matches(one, answer):
                        wrong.append(f"{method} {url} ({route}) as {name}: {answer.status_code}, expected {one}")
                    if answer.status_code == 404 and method == "GET":
                        missing.setdefault((name, route.startswith("api/")), set()).add(answer.content)
    assert wrong == []
    # What is not there reads the same for one visitor, whatever it is that is not there.
    assert {who for who, bodies in missing.items() if len(bodies) > 1} == set()


# Read from a mail program's own button, without a page before.
WITHOUT_A_PAGE = {"newsletter/unsubscribe/<str:token>/"}


@pytest.mark.parametrize("area", sorted({_area(route) for route in ALL if not route.startswith("api/")}))
def test_no_form_is_taken_without_its_csrf_token(
    area: str, claire: User, fill: Callable[[str], str], client_for: Callable[..., Client]
) -> None:
    by = {
        3: client_for(claire, fresh=True, enforce_csrf_checks=True),
        5: client_for(StaffFactory(), fresh=True, enforce_csrf_checks=True),
    }
    taken = []
    for route in (route for route in ALL if _area(route) == area and route not in WITHOUT_A_PAGE):
        for column, client in by.items():
            if expected(route, "POST")[column] in (404, 405, LOGIN):
                continue
            with undone():
                if ask(client, "POST", fill(route)).status_code != 403:
                    taken.append(f"{route} {column}")
    assert taken == []


# Changes to accounts, keys and tokens want a proof of identity given within the last minutes.
PROVEN = [
    *(route for route in POSTS if route.startswith(("settings/company/users/", "settings/company/sftp-accounts/"))),
    "settings/company/api-tokens/new/",
    "settings/company/api-tokens/<int:key>/replace/",
    "settings/company/mail-server/edit/",
    "settings/company/mail-server/remove/",
    "settings/shops/<str:site_id>/keys/<slug:name>/",
    "settings/shops/<str:site_id>/keys/<slug:name>/show/",
    "account/sessions/end-others/",
    "accounts/mfa/totp/activate/",
    "accounts/mfa/passkeys/add/",
    "accounts/mfa/passkeys/<int:pk>/rename/",
    "accounts/mfa/passkeys/<int:pk>/remove/",
    "accounts/mfa/recovery-codes/generate/",
]


@pytest.mark.parametrize("route", sorted(route for route in PROVEN if POSTS[route] != ADMIN_READ))
def test_an_old_log_in_changes_no_account_and_no_key(
    route: str, claire: User, fill: Callable[[str], str], client_for: Callable[..., Client]
) -> None:
    url = fill(route)
    before = _state()
    answer = client_for(claire).post(url)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(("/accounts/reauthenticate/", url))
    assert _state() == before


def _state() -> list[Any]:
    from companies.models import AuditEntry

    return list(AuditEntry.objects.order_by("pk").values_list("pk", flat=True))
