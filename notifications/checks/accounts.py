"""Checks of user accounts, SFTP accounts and API tokens.

Pure: no database, no settings, no clock.
"""

from collections.abc import Iterator

from django.utils.translation import gettext_lazy as _

from backoffice.text import addresses
from notifications.checks.findings import (
    Check,
    FindingScope,
    Hit,
    Place,
    Severity,
    all_of_company,
    is_bad,
)
from notifications.core.facts import CompanyFacts

# A revealing link is good for two days; a week leaves room for holidays.
UNREVEALED_DAYS = 7


def gone_addresses(company: CompanyFacts) -> dict[str, str]:
    """Addresses of disabled users that nobody active and no contact has → login."""
    alive = {
        addresses.normalise(address)
        for address in (
            company.manager_email,
            company.technical_email,
            *(shop.manager_email for shop in company.shops),
            *(user.email for user in company.users if user.active),
        )
        if address
    }
    disabled = {addresses.normalise(user.email): user.login for user in company.users if not user.active and user.email}
    return {address: login for address, login in disabled.items() if address not in alive}


def _invalid_accounts(company: CompanyFacts) -> Iterator[Hit]:
    for account in (*company.users, *company.sftp_accounts):
        if account.active and is_bad(account.email):
            yield {"account": account.login, "address": account.email}


def _unrevealed(company: CompanyFacts) -> Iterator[Hit]:
    for account in company.sftp_accounts:
        if account.active and account.unrevealed_days is not None and account.unrevealed_days >= UNREVEALED_DAYS:
            yield {"account": account.login}


def _ending_tokens(company: CompanyFacts) -> Iterator[Hit]:
    for name in company.ending_tokens:
        yield {"token": name}


CHECKS: tuple[Check, ...] = (
    Check(
        "account_address_invalid",
        Severity.ERROR,
        FindingScope.ACCOUNT,
        _("L'adresse « %(address)s » du compte ne peut pas recevoir d'e-mail."),
        _("Corrigez l'adresse du compte."),
        Place.USERS,
        all_of_company(_invalid_accounts),
    ),
    Check(
        "sftp_password_never_shown",
        Severity.WARNING,
        FindingScope.ACCOUNT,
        _("Le mot de passe du compte SFTP n'a pas encore été affiché : le compte ne peut pas servir."),
        _("Envoyez un nouveau lien, ou désactivez le compte s'il ne sert pas."),
        Place.SFTP,
        all_of_company(_unrevealed),
    ),
    Check(
        "api_token_ends_soon",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("Le jeton d'API « %(token)s » prend fin dans moins de 30 jours : le programme qui l'utilise sera refusé."),
        _("Remplacez-le : l'ancien reste valable 24 heures, le temps de reporter le nouveau."),
        Place.TOKENS,
        all_of_company(_ending_tokens),
    ),
)
