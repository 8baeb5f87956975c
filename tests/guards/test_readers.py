"""One reader per thing: who asks the database for rows that merchants see, and that everybody else asks them.

A reader starts from the membership, so a page that begins there cannot show another shop's rows. What reads past it
is named here with its reason; a new place fails and is looked at.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

from companies.models import Company

ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "notifications", "shops")

# Read by pages only through these.
READERS: dict[str, set[str]] = {
    "AuditEntry": {"companies/rights/readers.py", "companies/history/entries.py"},
    "User": {"companies/rights/readers.py", "notifications/settings_facts/__init__.py"},
    "Membership": {"companies/rights/readers.py"},
    "SftpAccount": {
        "companies/rights/readers.py",
        "notifications/settings_facts/__init__.py",
    },
    "Shop": {
        "companies/rights/access.py",
        "companies/rights/readers.py",
        "notifications/settings_facts/__init__.py",
        "notifications/settings_facts/bulk.py",
    },
    "Contract": {"shops/selectors.py"},
    "ShopKey": {"shops/selectors.py", "shops/dataforms/selectors.py"},
    "Delivery": {"notifications/readers.py"},
    "Attempt": {"notifications/readers.py"},
    "Message": set(),
    "Attachment": set(),
    "Event": {"notifications/readers.py"},
    "NotificationRule": {"notifications/readers.py"},
    "CallHealth": {"notifications/readers.py"},
    "AcknowledgedGap": {"notifications/answers/selectors.py"},
    "MailRemark": {"notifications/answers/selectors.py"},
    "ConsistencyReport": {"notifications/consistency/reports.py"},
    "ApiToken": {"notifications/tokens.py"},
    "PaymentOrder": {"shops/orders/selectors.py"},
    "PaymentOrderEntry": {"shops/orders/selectors.py"},
    "PaymentOrderTemplate": {"shops/orders/selectors.py"},
    "DataCollectionForm": {"shops/dataforms/selectors.py"},
    "DataFormVersion": {"shops/dataforms/selectors.py"},
    "DataFormAnswer": {"shops/dataforms/selectors.py"},
    "BillingDocument": {"shops/billing/selectors.py"},
    "BillingDraft": set(),
}
# Whoever looks, nothing of these reaches a merchant's page: they write, send, or serve operators and staff.
PAST_THE_MEMBERSHIP = {
    # Services write what a page has already got by a reader.
    "backoffice/provisioning/accounts.py",
    "backoffice/provisioning/rules.py",
    "backoffice/provisioning/shops.py",
    # Documents of settings, for operators and for programs whose token covers the whole company.
    "backoffice/provisioning/exporting.py",
    # Places of an address, what a user may know of them by a reader; what a signed link of their own takes back.
    "backoffice/replacing/",
    "backoffice/undoing/services.py",
    # Shops that a page has already got by a reader: to name them in the history, to save them in one go.
    "notifications/tables/effects.py",
    "companies/team/services/",
    "companies/announcements.py",
    "companies/verified.py",
    "notifications/answers/services.py",
    "notifications/outbox/services.py",
    "notifications/outbox/bulk.py",
    # Figures of sending and alerts about it, for staff and operators.
    "notifications/outbox/state.py",
    "notifications/sending/alerts.py",
    # Mail that a member of staff sends to themselves.
    "notifications/sending/atelier_services.py",
    "notifications/rules/services.py",
    "notifications/outbox/call_results.py",
    "notifications/rules/trials.py",
    "notifications/tokens.py",
    "shops/services.py",
    "shops/orders/services/",
    "shops/dataforms/services.py",
    "shops/billing/services.py",
    # The worker and what it sends; events that come in.
    "notifications/broadcasts/broadcasting.py",
    "notifications/events/publishing.py",
    "notifications/events/digests.py",
    # Writes the history, reads nothing of it.
    "companies/audit.py",
    "notifications/events/silences.py",
    "notifications/outbox/waits.py",
    "notifications/outbox/carrying.py",
    "notifications/calls/requests.py",
    "notifications/outbox/leases.py",
    "notifications/outbox/claims.py",
    "notifications/outbox/holds.py",
    "notifications/outbox/mail_results.py",
    "notifications/outbox/limits.py",
    "notifications/outbox/relays.py",
    "notifications/mail/emails.py",
    # What becomes of mail, told by servers and providers.
    "notifications/health/recording.py",
    "notifications/health/notices.py",
    "notifications/health/providers.py",
    "notifications/events/intake.py",
    "notifications/broadcasts/newsletters.py",
    "notifications/privacy/purging.py",
    # Checks of a whole company, shown through `visible`; of a rule that its page has already got.
    "notifications/settings_facts/checked.py",
    "notifications/consistency/reports.py",
    # What a shop used, for its bill.
    "shops/billing/selectors.py",
    # Operators: what a restore forgot.
    "notifications/outbox/restoring.py",
    # Staff: support by address, erasure, proof of the history, « Voir comme », the forms of billing.
    "notifications/privacy/support.py",
    "backoffice/desk/",
    "notifications/health/critical.py",
    "notifications/privacy/personal_data.py",
    "companies/history/seals.py",
    "companies/accounts/view_as.py",
    "shops/billing/forms.py",
    # Logging in, one's own account, links and tokens that are themselves the proof.
    "companies/accounts/views.py",
    "companies/accounts/adapters.py",
    "companies/accounts/second_factors.py",
    "companies/accounts/auth.py",
    "companies/links.py",
    "companies/accounts/logins.py",
    "notifications/api/auth.py",
    "shops/orders/public.py",
}
# The Django admin, commands, migrations and demonstrations.
_ELSEWHERE = re.compile(r"(^|_|/)admin\.py$|/admin/|/management/|/migrations/|/demo/")
_SHORTCUTS = ("get_object_or_404", "get_list_or_404")


def sources() -> Iterator[tuple[str, ast.Module]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if not _ELSEWHERE.search(name):
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def asked_in(tree: ast.Module) -> set[str]:
    """The models whose rows a file asks the database for."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("objects", "_default_manager", "_base_manager"):
            found.add(ast.unparse(node.value).rpartition(".")[2])
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _SHORTCUTS and isinstance(node.args[0], ast.Name):
            found.add(node.args[0].id)
    return found


@cache
def asked() -> dict[str, set[str]]:
    return {name: asked_in(tree) for name, tree in sources()}


def reads_past_the_membership(name: str) -> bool:
    """Whether a file, or the folder that it stands in, is in the list."""
    return name in PAST_THE_MEMBERSHIP or f"{name.rpartition('/')[0]}/" in PAST_THE_MEMBERSHIP


@pytest.mark.parametrize("model", READERS)
def test_only_its_reader_asks_for_the_rows_of_a_model(model: str) -> None:
    asking = {name for name, models in asked().items() if model in models and not reads_past_the_membership(name)}
    assert asking - READERS[model] == set(), f"read {model} through {READERS[model]}"


def test_no_name_is_left_behind_in_the_lists() -> None:
    for model, names in READERS.items():
        assert {name for name in names if model not in asked()[name]} == set(), model
    asking = {name for name, models in asked().items() if models & set(READERS)}
    assert {listed for listed in PAST_THE_MEMBERSHIP if not any(name.startswith(listed) for name in asking)} == set()


def test_no_page_goes_from_the_company_straight_to_its_rows() -> None:
    """`company.deliveries` has every shop's. From an object that a reader gave, its own rows may be followed."""
    names = "|".join(sorted(relation.get_accessor_name() or "" for relation in Company._meta.related_objects))
    straight = re.compile(rf"company\.({names})\.(?!add|create)\w+")
    found = {
        name: match[0]
        for name, tree in sources()
        if not reads_past_the_membership(name) and (match := straight.search(ast.unparse(tree)))
    }
    assert found == {}
    templates = {path: path.read_text(encoding="utf-8") for path in (ROOT / "templates").rglob("*.html")}
    assert [str(path) for path, text in templates.items() if straight.search(text) and "admin" not in path.parts] == []
