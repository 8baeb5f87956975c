"""The checks of the consistency report: what is wrong, or worth a look, in the settings of a company.

One table, `CHECKS`: code, severity, scope, sentence, advice, place of correction, and the function that
finds it in frozen facts. Findings keep codes and values, not sentences, so that a report of last year is
read in today's language. What the linter says of rules is said here with its predicates and its words.

Pure: no database, no settings, no clock.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from . import addresses, linter
from .catalogue import SHOP_MANAGER_SYMBOL, TRIGGER_LABELS, RuleType
from .facts import ConditionFacts

# After this many days a shop with a contract and without production key was probably forgotten.
LONG_TEST_PHASE_DAYS = 60
# A revealing link is good for two days; a week leaves room for holidays.
UNREVEALED_DAYS = 7
FAILING_DAYS = 1


class Severity(StrEnum):
    """An error keeps something from working or from reaching anybody; a warning may be meant."""

    ERROR = "error"
    WARNING = "warning"


class Scope(StrEnum):
    """What a finding is about."""

    COMPANY = "company"
    ACCOUNT = "account"
    SHOP = "shop"
    CONTRACT = "contract"
    RULE = "rule"


class Place(StrEnum):
    """Where it is put right; `consistency_reports.PLACES` knows the pages and who may change them."""

    COMPANY = "company"
    USERS = "users"
    SFTP = "sftp"
    TOKENS = "tokens"
    CONFIGURATION = "configuration"
    KEYS = "keys"
    CONTRACTS = "contracts"
    RULE = "rule"
    RULES = "rules"
    ADDRESS = "address"


SEVERITY_LABELS: dict[str, Promise] = {Severity.ERROR: _("Erreur"), Severity.WARNING: _("Avertissement")}
SCOPE_LABELS: dict[str, Promise] = {
    Scope.COMPANY: _("Société"),
    Scope.ACCOUNT: _("Compte"),
    Scope.SHOP: _("Boutique"),
    Scope.CONTRACT: _("Contrat"),
    Scope.RULE: _("Règle"),
}


# --- Facts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ContractSheet:
    number: str
    network: str
    three_d_secure: bool
    takes_cards: bool = True


@dataclass(frozen=True)
class RuleSheet:
    """A rule as the linter knows it, and what only reports look at.

    Attributes:
        typed: recipients as typed, without `@shop_manager`.
        refused_urls: stored URLs that could not be saved any more today.
        failing: (mode, whole days since when every call failed).
    """

    rule: linter.Sheet
    typed: tuple[str, ...] = ()
    refused_urls: tuple[str, ...] = ()
    failing: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class ShopSheet:
    """An active shop.

    Attributes:
        manager_email: its own address; empty when inherited.
        keys: kinds of keys it has (`test`, `production`, `rest_test` …).
        algorithms: mode → signature algorithm.
        age_days: whole days since it was created.
    """

    site_id: str
    name: str
    language: str = "fr"
    url: str = ""
    manager_email: str = ""
    keys: frozenset[str] = frozenset({"test"})
    algorithms: tuple[tuple[str, str], ...] = ()
    contracts: tuple[ContractSheet, ...] = ()
    rules: tuple[RuleSheet, ...] = ()
    age_days: int = 0

    @property
    def in_production(self) -> bool:
        return "production" in self.keys


@dataclass(frozen=True)
class AccountSheet:
    """A user or SFTP account.

    Attributes:
        unrevealed_days: age in days of an SFTP account whose password waits to be looked at; None when none waits.
    """

    login: str
    email: str
    active: bool = True
    administrator: bool = False
    logged_in: bool = True
    unrevealed_days: int | None = None


@dataclass(frozen=True)
class CompanySheet:
    """All that the checks know of a company.

    Attributes:
        bouncing: normal form of the addresses that every mail of the last month failed to reach.
        ending_tokens: names of the API tokens that end within a month and have no successor.
    """

    reference: str
    name: str
    language: str = "fr"
    registration_number: str = "-"
    address: str = "-"
    time_zone_known: bool = True
    manager_email: str = ""
    technical_email: str = ""
    incident_emails: tuple[str, ...] = ()
    users: tuple[AccountSheet, ...] = ()
    sftp_accounts: tuple[AccountSheet, ...] = ()
    shops: tuple[ShopSheet, ...] = ()
    bouncing: frozenset[str] = frozenset()
    ending_tokens: tuple[str, ...] = ()


# --- Findings -------------------------------------------------------------------------------------

# Values that grow while a finding stays the same.
_GROWING = frozenset({"days"})


@dataclass(frozen=True)
class Finding:
    """One finding, fit for JSON: codes and values."""

    code: str
    severity: str
    scope: str
    shop: str = ""
    contract: str = ""
    rule: str = ""
    account: str = ""
    params: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        """The same for as long as the same thing is wrong."""
        told = {name: value for name, value in self.params.items() if name not in _GROWING}
        return json.dumps(
            [self.code, self.shop, self.contract, self.rule, self.account, told], sort_keys=True, ensure_ascii=True
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Finding":
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def digest(findings: Iterable[Finding]) -> str:
    """Equal for reports that find the same, in whatever order."""
    return hashlib.sha256("\n".join(sorted(finding.key for finding in findings)).encode()).hexdigest()


# --- How checks look for it -----------------------------------------------------------------------

Hit = dict[str, Any]
Look = Callable[[CompanySheet], Iterator[Hit]]


@dataclass(frozen=True)
class Check:
    """One row of the table.

    Attributes:
        sentence: what is wrong; `%(name)s` stands for a value of the finding.
        advice: what to do.
        look: a company → for each finding where it is (`shop`, `contract`, `rule`, `account`) and the
            values of the sentence.
    """

    code: str
    severity: Severity
    scope: Scope
    sentence: str | Promise
    advice: str | Promise
    place: Place
    look: Look


def _company(condition: Callable[[CompanySheet], bool | Hit]) -> Look:
    def look(company: CompanySheet) -> Iterator[Hit]:
        if found := condition(company):
            yield found if isinstance(found, dict) else {}

    return look


def _shop(condition: Callable[[ShopSheet], bool | Hit]) -> Look:
    def look(company: CompanySheet) -> Iterator[Hit]:
        for shop in company.shops:
            if found := condition(shop):
                yield {"shop": shop.site_id, **(found if isinstance(found, dict) else {})}

    return look


def _contract(condition: Callable[[ShopSheet, ContractSheet], bool | Hit]) -> Look:
    def look(company: CompanySheet) -> Iterator[Hit]:
        for shop in company.shops:
            for contract in shop.contracts:
                if found := condition(shop, contract):
                    values = found if isinstance(found, dict) else {}
                    yield {"shop": shop.site_id, "contract": f"{contract.number} ({contract.network})", **values}

    return look


def _rule(condition: Callable[[ShopSheet, RuleSheet], Iterator[Hit]]) -> Look:
    """Of rules that are on: those that are off harm nobody."""

    def look(company: CompanySheet) -> Iterator[Hit]:
        for shop in company.shops:
            for sheet in shop.rules:
                if sheet.rule.enabled:
                    for found in condition(shop, sheet):
                        yield {**_rule_place(shop, sheet.rule), **found}

    return look


def _rule_place(shop: ShopSheet, sheet: linter.Sheet) -> Hit:
    return {"shop": shop.site_id, "rule": sheet.reference, "label": sheet.label}


def _linted(check: linter.Check) -> Look:
    def look(company: CompanySheet) -> Iterator[Hit]:
        for shop in company.shops:
            sheets = [item.rule for item in shop.rules if item.rule.enabled]
            for found in check.find(sheets):
                sheet: linter.Sheet = found.pop("sheet")
                other: linter.Sheet | None = found.pop("other", None)
                values = {name: _frozen(value) for name, value in found.items()}
                yield {**_rule_place(shop, sheet), **values, **({"other": other.label} if other else {})}

    return look


def _frozen(value: Any) -> Any:
    """A value of a linter's finding, fit for JSON and for another language."""
    if isinstance(value, ConditionFacts):
        listed = list(value.value) if isinstance(value.value, tuple) else value.value
        return {"variable": value.variable, "operator": value.operator, "value": listed}
    for code, label in TRIGGER_LABELS.items():
        if value is label:
            return code
    return value


def _bad(address: str) -> bool:
    try:
        addresses.validate(address)
    except addresses.InvalidAddress:
        return True
    return False


# --- Company --------------------------------------------------------------------------------------


def _invalid_contacts(company: CompanySheet) -> Iterator[Hit]:
    for address in filter(None, (company.manager_email, company.technical_email, *company.incident_emails)):
        if _bad(address):
            yield {"address": address}


def _same_contacts(company: CompanySheet) -> bool | Hit:
    one, other = company.manager_email, company.technical_email
    return {"address": one} if one and other and addresses.normalise(one) == addresses.normalise(other) else False


def _only_manager_in_incidents(company: CompanySheet) -> bool | Hit:
    told = {addresses.normalise(address) for address in company.incident_emails}
    if company.manager_email and told == {addresses.normalise(company.manager_email)}:
        return {"address": company.incident_emails[0]}
    return False


def _unlike_shops(company: CompanySheet) -> bool | Hit:
    spoken = {shop.language for shop in company.shops}
    if len(spoken) == 1 and company.language not in spoken:
        return {"language": company.language, "shops_language": spoken.pop()}
    return False


def _administrators(company: CompanySheet) -> list[AccountSheet]:
    return [user for user in company.users if user.active and user.administrator]


def _lonely_administrator(company: CompanySheet) -> bool | Hit:
    found = _administrators(company)
    return {"login": found[0].login} if len(found) == 1 else False


def _absent_administrators(company: CompanySheet) -> bool:
    found = _administrators(company)
    return bool(found) and not any(user.logged_in for user in found)


def _bouncing(company: CompanySheet) -> Iterator[Hit]:
    told: dict[str, str] = {}
    for address in _configured(company):
        told.setdefault(addresses.normalise(address), address)
    for normalised in sorted(set(told) & company.bouncing):
        yield {"address": told[normalised]}


def _configured(company: CompanySheet) -> Iterator[str]:
    """Every address that a merchant has set to be written to, in the order of the roles."""
    yield from filter(None, (company.manager_email, *company.incident_emails))
    for shop in company.shops:
        yield from filter(None, (shop.manager_email,))
    for shop in company.shops:
        for sheet in shop.rules:
            if sheet.rule.enabled:
                yield from sheet.typed
    yield from (account.email for account in (*company.users, *company.sftp_accounts) if account.active)


def _gone(company: CompanySheet) -> dict[str, str]:
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
    found = {addresses.normalise(user.email): user.login for user in company.users if not user.active and user.email}
    return {address: login for address, login in found.items() if address not in alive}


def _gone_in_incidents(company: CompanySheet) -> Iterator[Hit]:
    gone = _gone(company)
    for address in company.incident_emails:
        if login := gone.get(addresses.normalise(address)):
            yield {"address": address, "login": login}


def _gone_in_rules(company: CompanySheet) -> Iterator[Hit]:
    gone = _gone(company)
    for shop in company.shops:
        for sheet in shop.rules:
            for address in sheet.typed if sheet.rule.enabled else ():
                if login := gone.get(addresses.normalise(address)):
                    yield {**_rule_place(shop, sheet.rule), "address": address, "login": login}


# --- Accounts -------------------------------------------------------------------------------------


def _invalid_accounts(company: CompanySheet) -> Iterator[Hit]:
    for account in (*company.users, *company.sftp_accounts):
        if account.active and _bad(account.email):
            yield {"account": account.login, "address": account.email}


def _unrevealed(company: CompanySheet) -> Iterator[Hit]:
    for account in company.sftp_accounts:
        if account.active and account.unrevealed_days is not None and account.unrevealed_days >= UNREVEALED_DAYS:
            yield {"account": account.login}


def _ending_tokens(company: CompanySheet) -> Iterator[Hit]:
    for name in company.ending_tokens:
        yield {"token": name}


# --- Shops and contracts --------------------------------------------------------------------------


def _old_algorithm(shop: ShopSheet) -> bool | Hit:
    old = [mode for mode, name in shop.algorithms if name == "SHA-1" and mode.lower() in shop.keys]
    return {"modes": ", ".join(old)} if old else False


def _unlike_algorithms(shop: ShopSheet) -> bool | Hit:
    names = dict(shop.algorithms)
    if shop.in_production and len(set(names.values())) > 1:
        return {"test": names["TEST"], "production": names["PRODUCTION"]}
    return False


def _no_call(shop: ShopSheet) -> bool:
    return shop.in_production and not any(
        sheet.rule.enabled and sheet.rule.type == RuleType.IPN_CALL for sheet in shop.rules
    )


def _shared_contracts(company: CompanySheet) -> Iterator[Hit]:
    users: dict[tuple[str, str], list[ShopSheet]] = {}
    for shop in company.shops:
        for contract in shop.contracts:
            users.setdefault((contract.number, contract.network), []).append(shop)
    for (number, network), shops in users.items():
        for shop in shops[1:]:
            yield {"shop": shop.site_id, "contract": f"{number} ({network})", "other": shops[0].name}


# --- Rules ----------------------------------------------------------------------------------------


def _is_call(sheet: RuleSheet) -> bool:
    return sheet.rule.type == RuleType.IPN_CALL


def _production_without_url(shop: ShopSheet, sheet: RuleSheet) -> Iterator[Hit]:
    if _is_call(sheet) and shop.in_production and not sheet.rule.urls["PRODUCTION"] and _fires_in(sheet, "PRODUCTION"):
        yield {}


def _test_without_url(shop: ShopSheet, sheet: RuleSheet) -> Iterator[Hit]:
    if _is_call(sheet) and not shop.in_production and not sheet.rule.urls["TEST"] and _fires_in(sheet, "TEST"):
        yield {}


def _fires_in(sheet: RuleSheet, mode: str) -> bool:
    return not linter.exclusive(sheet.rule.conditions, (ConditionFacts("mode", "eq", mode),))


def _refused_urls(shop: ShopSheet, sheet: RuleSheet) -> Iterator[Hit]:
    for url in sheet.refused_urls:
        yield {"url": url}


def _invalid_recipients(shop: ShopSheet, sheet: RuleSheet) -> Iterator[Hit]:
    for address in sheet.typed:
        if address != SHOP_MANAGER_SYMBOL and _bad(address):
            yield {"address": address}


def _failing(shop: ShopSheet, sheet: RuleSheet) -> Iterator[Hit]:
    for mode, days in sheet.failing:
        if days >= FAILING_DAYS:
            yield {"mode": mode, "days": days}


def _nobody(shop: ShopSheet, sheet: RuleSheet) -> Iterator[Hit]:
    if _is_call(sheet) and not sheet.rule.recipients and not sheet.rule.unaddressed:
        yield {}


# --- The table ------------------------------------------------------------------------------------

_LINTER = {check.code: check for check in linter.CHECKS}


def _of_linter(code: str, severity: Severity, place: Place = Place.RULE) -> Check:
    check = _LINTER[code]
    return Check(code, severity, Scope.RULE, check.sentence, check.advice, place, _linted(check))


_E, _W = Severity.ERROR, Severity.WARNING

CHECKS: tuple[Check, ...] = (
    Check(
        "company_without_manager",
        _E,
        Scope.COMPANY,
        _("La société n'a pas d'e-mail de Contact gestionnaire : factures, rapports et lettres n'arrivent nulle part."),
        _("Renseignez le Contact gestionnaire dans Infos Société."),
        Place.COMPANY,
        _company(lambda company: not company.manager_email),
    ),
    Check(
        "contact_address_invalid",
        _E,
        Scope.COMPANY,
        _("L'adresse « %(address)s » des contacts de la société ne peut pas recevoir d'e-mail."),
        _("Corrigez l'adresse dans Infos Société."),
        Place.COMPANY,
        _invalid_contacts,
    ),
    Check(
        "no_incident_address",
        _E,
        Scope.COMPANY,
        _("Aucun e-mail de contact en cas d'incident n'est renseigné : personne n'est prévenu d'un incident."),
        _("Ajoutez au moins une adresse dans Infos Société."),
        Place.COMPANY,
        _company(lambda company: not company.incident_emails),
    ),
    Check(
        "address_bounces",
        _E,
        Scope.COMPANY,
        _("Aucun message des 30 derniers jours n'est arrivé à %(address)s : le serveur de l'adresse les refuse."),
        _("Remplacez l'adresse partout où elle est configurée, ou faites rétablir la boîte."),
        Place.ADDRESS,
        _bouncing,
    ),
    Check(
        "time_zone_unknown",
        _E,
        Scope.COMPANY,
        _("Le fuseau horaire enregistré n'existe plus : les heures des messages sont fausses."),
        _("Choisissez un fuseau horaire dans Infos Société."),
        Place.COMPANY,
        _company(lambda company: not company.time_zone_known),
    ),
    Check(
        "no_administrator",
        _E,
        Scope.COMPANY,
        _("Aucun administrateur actif : personne de la société ne peut gérer ses comptes et ses clés."),
        _("Demandez à l'assistance d'ouvrir un compte administrateur."),
        Place.USERS,
        _company(lambda company: not _administrators(company)),
    ),
    Check(
        "one_administrator",
        _W,
        Scope.COMPANY,
        _("%(login)s est le seul administrateur : en son absence, personne ne gère les comptes et les clés."),
        _("Donnez le rôle d'administrateur à une seconde personne."),
        Place.USERS,
        _company(_lonely_administrator),
    ),
    Check(
        "administrators_never_logged_in",
        _W,
        Scope.COMPANY,
        _("Aucun administrateur ne s'est encore connecté."),
        _("Vérifiez que leur lien d'activation est arrivé, ou envoyez-en un nouveau."),
        Place.USERS,
        _company(_absent_administrators),
    ),
    Check(
        "contacts_same_address",
        _W,
        Scope.COMPANY,
        _("Le Contact gestionnaire et le Contact technique ont la même adresse, %(address)s."),
        _("Indiquez la personne qui suit l'intégration, ou retirez le Contact technique."),
        Place.COMPANY,
        _company(_same_contacts),
    ),
    Check(
        "incidents_reach_manager_only",
        _W,
        Scope.COMPANY,
        _("Seul le Contact gestionnaire (%(address)s) est prévenu d'un incident."),
        _("Ajoutez une adresse d'astreinte, lue aussi la nuit et pendant les congés."),
        Place.COMPANY,
        _company(_only_manager_in_incidents),
    ),
    Check(
        "incident_address_of_disabled_user",
        _W,
        Scope.COMPANY,
        _("%(address)s est prévenue des incidents, mais le compte %(login)s est désactivé."),
        _("Retirez l'adresse si la personne a quitté la société."),
        Place.COMPANY,
        _gone_in_incidents,
    ),
    Check(
        "no_registration_number",
        _W,
        Scope.COMPANY,
        _("Le numéro d'immatriculation de la société n'est pas renseigné."),
        _("Complétez Infos Société : le numéro figure sur vos factures."),
        Place.COMPANY,
        _company(lambda company: not company.registration_number.strip()),
    ),
    Check(
        "no_postal_address",
        _W,
        Scope.COMPANY,
        _("L'adresse du siège n'est pas renseignée."),
        _("Complétez Infos Société : l'adresse figure sur vos factures."),
        Place.COMPANY,
        _company(lambda company: not company.address.strip()),
    ),
    Check(
        "language_unlike_shops",
        _W,
        Scope.COMPANY,
        _("Les messages de la société sont écrits dans une autre langue que ceux de toutes ses boutiques."),
        _("Vérifiez la langue de la société et celle des boutiques."),
        Place.COMPANY,
        _company(_unlike_shops),
    ),
    Check(
        "account_address_invalid",
        _E,
        Scope.ACCOUNT,
        _("L'adresse « %(address)s » du compte ne peut pas recevoir d'e-mail."),
        _("Corrigez l'adresse du compte."),
        Place.USERS,
        _invalid_accounts,
    ),
    Check(
        "sftp_password_never_shown",
        _W,
        Scope.ACCOUNT,
        _("Le mot de passe du compte SFTP n'a pas encore été affiché : le compte ne peut pas servir."),
        _("Envoyez un nouveau lien, ou désactivez le compte s'il ne sert pas."),
        Place.SFTP,
        _unrevealed,
    ),
    Check(
        "api_token_ends_soon",
        _W,
        Scope.COMPANY,
        _("Le jeton d'API « %(token)s » prend fin dans moins de 30 jours : le programme qui l'utilise sera refusé."),
        _("Remplacez-le : l'ancien reste valable 24 heures, le temps de reporter le nouveau."),
        Place.TOKENS,
        _ending_tokens,
    ),
    Check(
        "shop_without_test_key",
        _E,
        Scope.SHOP,
        _("La boutique n'a pas de clé de test : aucun paiement d'essai n'est possible."),
        _("Demandez à l'assistance de rétablir la clé de test."),
        Place.KEYS,
        _shop(lambda shop: "test" not in shop.keys),
    ),
    Check(
        "production_without_contract",
        _E,
        Scope.SHOP,
        _("La boutique a une clé de production mais aucun contrat : elle ne peut encaisser aucun paiement."),
        _("Ajoutez le contrat (MID) que votre banque vous a donné."),
        Place.CONTRACTS,
        _shop(lambda shop: shop.in_production and not shop.contracts),
    ),
    Check(
        "manager_address_invalid",
        _E,
        Scope.SHOP,
        _("L'e-mail gestionnaire « %(address)s » de la boutique ne peut pas recevoir d'e-mail."),
        _("Corrigez l'e-mail gestionnaire, ou videz-le pour hériter du Contact gestionnaire."),
        Place.CONFIGURATION,
        _shop(
            lambda shop: {"address": shop.manager_email} if shop.manager_email and _bad(shop.manager_email) else False
        ),
    ),
    Check(
        "shop_without_contract",
        _W,
        Scope.SHOP,
        _("La boutique n'a pas encore de contrat."),
        _("Ajoutez le contrat (MID) que votre banque vous a donné avant de passer en production."),
        Place.CONTRACTS,
        _shop(lambda shop: not shop.in_production and not shop.contracts),
    ),
    Check(
        "long_test_phase",
        _W,
        Scope.SHOP,
        _("La boutique a un contrat mais pas de clé de production, %(days)s jours après sa création."),
        _("Terminez la phase de test puis générez la clé de production."),
        Place.KEYS,
        _shop(
            lambda shop: (
                {"days": shop.age_days}
                if shop.contracts and not shop.in_production and shop.age_days >= LONG_TEST_PHASE_DAYS
                else False
            )
        ),
    ),
    Check(
        "shop_without_url",
        _W,
        Scope.SHOP,
        _("L'URL de la boutique n'est pas renseignée."),
        _("Indiquez l'adresse du site marchand : elle figure dans les messages aux acheteurs."),
        Place.CONFIGURATION,
        _shop(lambda shop: not shop.url),
    ),
    Check(
        "shop_url_in_clear",
        _W,
        Scope.SHOP,
        _("L'URL de la boutique n'est pas chiffrée : %(url)s."),
        _("Utilisez une adresse https://."),
        Place.CONFIGURATION,
        _shop(lambda shop: {"url": shop.url} if shop.url.lower().startswith("http://") else False),
    ),
    Check(
        "old_signature_algorithm",
        _W,
        Scope.SHOP,
        _("La signature utilise encore SHA-1 (%(modes)s), un algorithme dépassé."),
        _("Passez à HMAC-SHA-256 dans les clés de la boutique ; les deux sont acceptés pendant 24 heures."),
        Place.KEYS,
        _shop(_old_algorithm),
    ),
    Check(
        "algorithms_differ",
        _W,
        Scope.SHOP,
        _(
            "Le mode TEST signe avec %(test)s et le mode PRODUCTION avec %(production)s : vos essais ne prouvent pas tout."
        ),
        _("Choisissez le même algorithme dans les deux modes."),
        Place.KEYS,
        _shop(_unlike_algorithms),
    ),
    Check(
        "no_call_rule",
        _W,
        Scope.SHOP,
        _("Aucun appel URL de notification n'est activé : votre site n'apprend pas les paiements par la plateforme."),
        _("Activez la règle « URL de notification à la fin du paiement »."),
        Place.RULES,
        _shop(_no_call),
    ),
    Check(
        "contract_without_three_d_secure",
        _W,
        Scope.CONTRACT,
        _("Le 3D Secure n'est pas activé : vos paiements par carte ne sont pas garantis contre la fraude."),
        _("Demandez l'enrôlement à votre banque, puis activez-le dans Authentification."),
        Place.CONTRACTS,
        _contract(lambda shop, contract: contract.takes_cards and not contract.three_d_secure),
    ),
    Check(
        "contract_in_two_shops",
        _W,
        Scope.CONTRACT,
        _("Ce contrat sert aussi à la boutique « %(other)s » : leurs remises se confondent à la banque."),
        _("Vérifiez le numéro de contrat, ou demandez à votre banque un contrat par boutique."),
        Place.CONTRACTS,
        _shared_contracts,
    ),
    Check(
        "production_without_url",
        _E,
        Scope.RULE,
        _("La règle est activée et la boutique est en production, mais aucune URL n'est appelée en mode PRODUCTION."),
        _("Indiquez l'URL du mode PRODUCTION, ou désactivez la règle."),
        Place.RULE,
        _rule(_production_without_url),
    ),
    Check(
        "url_refused",
        _E,
        Scope.RULE,
        _("L'URL %(url)s ne peut pas être appelée : elle ne respecte pas les règles des URL de notification."),
        _("Ouvrez la règle et enregistrez-la : la raison s'affiche sous l'URL."),
        Place.RULE,
        _rule(_refused_urls),
    ),
    Check(
        "recipient_invalid",
        _E,
        Scope.RULE,
        _("Le destinataire « %(address)s » de la règle ne peut pas recevoir d'e-mail."),
        _("Corrigez ou retirez l'adresse."),
        Place.RULE,
        _rule(_invalid_recipients),
    ),
    _of_linter("never_fires", _E),
    _of_linter("trigger_never_fires", _E),
    _of_linter("no_key", _E, Place.KEYS),
    _of_linter("javascript_without_rest_url", _E),
    _of_linter("no_address", _E),
    Check(
        "test_without_url",
        _W,
        Scope.RULE,
        _("La règle est activée mais n'a pas d'URL pour le mode TEST : vos essais n'appellent rien."),
        _("Indiquez l'URL du mode TEST pendant la phase de test."),
        Place.RULE,
        _rule(_test_without_url),
    ),
    Check(
        "calls_failing",
        _W,
        Scope.RULE,
        _("Les appels en mode %(mode)s échouent tous depuis %(days)s jours."),
        _("Lisez la réponse de votre serveur dans le journal, corrigez, puis rejouez les appels."),
        Place.RULE,
        _rule(_failing),
    ),
    Check(
        "nobody_told_of_failures",
        _W,
        Scope.RULE,
        _("Personne n'est prévenu si un appel échoue : c'est un choix enregistré."),
        _("Ajoutez un destinataire si ce n'est plus voulu."),
        Place.RULE,
        _rule(_nobody),
    ),
    Check(
        "recipient_of_disabled_user",
        _W,
        Scope.RULE,
        _("%(address)s reçoit les messages de la règle, mais le compte %(login)s est désactivé."),
        _("Retirez l'adresse si la personne a quitté la société."),
        Place.RULE,
        _gone_in_rules,
    ),
    _of_linter("http_in_production", _W),
    _of_linter("same_url_in_both_modes", _W),
    _of_linter("url_redirects", _W),
    _of_linter("told_twice", _W),
    _of_linter("called_twice", _W),
    _of_linter("buyer_told_twice", _W),
)
BY_CODE: dict[str, Check] = {check.code: check for check in CHECKS}

_WHERE = ("shop", "contract", "rule", "account")


def findings(company: CompanySheet, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """Everything the checks find, errors first, then in the order of the table."""
    found = []
    for check in checks:
        for hit in check.look(company):
            place = {name: hit.pop(name) for name in _WHERE if name in hit}
            found.append(Finding(check.code, str(check.severity), str(check.scope), params=hit, **place))
    return sorted(found, key=lambda finding: finding.severity != Severity.ERROR)


def errors_of(found: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.severity == Severity.ERROR]
