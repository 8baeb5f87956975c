"""What the search of the top bar finds of the addresses contacted."""

from collections.abc import Iterator

from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils.encoding import force_str
from django.utils.translation import gettext as _

from backoffice.base.searching import SHOWN, Group, Hit, group, list_url
from backoffice.text import addresses as address_rules
from companies.models import Contact, Membership
from companies.rights import access
from companies.rights import readers as account_readers
from notifications import readers
from notifications.core.catalogue import SHOP_MANAGER_SYMBOL
from notifications.tables import screens

# Rows of one kind that are read for the addresses in them: many shops share one.
_READ = 200


def addresses(membership: Membership, text: str) -> list[Group]:
    """The addresses in the settings with the text in them, as the tables show them to this user."""
    wanted = address_rules.normalise(text)
    roles: dict[str, tuple[str, list[str]]] = {}
    for kind, email in _typed(membership, text):
        key = address_rules.normalise(email)
        if wanted in key or text.casefold() in email.casefold():
            kinds = roles.setdefault(key, (email, []))[1]
            if kind not in kinds:
                kinds.append(kind)
    # Those that begin with the text come first.
    ordered = sorted(roles.items(), key=lambda item: (not item[0].startswith(wanted), item[0]))
    hits = [
        Hit(
            email,
            list_url("addresses", address=email),
            ", ".join(force_str(screens.ROLE_KINDS[kind]) for kind in kinds),
            is_exact=key == wanted,
        )
        for key, (email, kinds) in ordered[: SHOWN + 1]
    ]
    return group("addresses", _("Adresses contactées"), hits, list_url("addresses", q=text))


def _typed(membership: Membership, text: str) -> Iterator[tuple[str, str]]:
    """(kind of role, address) wherever one is typed that may hold the text."""
    kinds = {Contact.Kind.MANAGER: "company_manager", Contact.Kind.TECHNICAL: "technical_contact"}
    company = membership.company
    for kind, email in Contact.objects.filter(company=company).order_by("pk").values_list("kind", "email"):
        yield kinds[Contact.Kind(kind)], email
    yield from (("incident_contact", email) for email in company.incident_emails)
    shops = access.shops_of(membership).filter(manager_email__icontains=text)
    yield from (("shop_manager", email) for email in shops.values_list("manager_email", flat=True)[:_READ])
    rules = readers.rules_for(membership).annotate(said=Cast("recipients", TextField())).filter(said__icontains=text)
    for recipients in rules.order_by().values_list("recipients", flat=True)[:_READ]:
        yield from (("rule", email) for email in recipients if email != SHOP_MANAGER_SYMBOL)
    users = account_readers.users_for(membership).filter(company=company, email__icontains=text)
    yield from (("user", email) for email in users.order_by("pk").values_list("email", flat=True)[:_READ])
    sftp = account_readers.sftp_accounts_for(membership).filter(email__icontains=text)
    yield from (("sftp_account", email) for email in sftp.order_by("pk").values_list("email", flat=True)[:_READ])
