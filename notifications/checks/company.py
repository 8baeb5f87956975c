"""Checks of the company itself: contacts, incident addresses, administrators.

Pure: no database, no settings, no clock.
"""

from collections.abc import Iterator

from django.utils.translation import gettext_lazy as _

from backoffice.text import addresses
from notifications.checks.accounts import gone_addresses
from notifications.checks.findings import (
    Check,
    FindingScope,
    Hit,
    Place,
    Severity,
    all_of_company,
    is_bad,
    of_company,
)
from notifications.core.facts import AccountFacts, CompanyFacts


def _invalid_contacts(company: CompanyFacts) -> Iterator[Hit]:
    for address in filter(None, (company.manager_email, company.technical_email, *company.incident_emails)):
        if is_bad(address):
            yield {"address": address}


def _same_contacts(company: CompanyFacts) -> bool | Hit:
    one, other = company.manager_email, company.technical_email
    return {"address": one} if one and other and addresses.normalise(one) == addresses.normalise(other) else False


def _only_manager_in_incidents(company: CompanyFacts) -> bool | Hit:
    told = {addresses.normalise(address) for address in company.incident_emails}
    if company.manager_email and told == {addresses.normalise(company.manager_email)}:
        return {"address": company.incident_emails[0]}
    return False


def _unlike_shops(company: CompanyFacts) -> bool | Hit:
    spoken = {shop.language for shop in company.shops}
    if len(spoken) == 1 and company.language not in spoken:
        return {"language": company.language, "shops_language": spoken.pop()}
    return False


def _administrators(company: CompanyFacts) -> list[AccountFacts]:
    return [user for user in company.users if user.active and user.administrator]


def _lonely_administrator(company: CompanyFacts) -> bool | Hit:
    administrators = _administrators(company)
    return {"login": administrators[0].login} if len(administrators) == 1 else False


def _absent_administrators(company: CompanyFacts) -> bool:
    administrators = _administrators(company)
    return bool(administrators) and not any(user.logged_in for user in administrators)


def _bouncing(company: CompanyFacts) -> Iterator[Hit]:
    told: dict[str, str] = {}
    for address in configured(company):
        told.setdefault(addresses.normalise(address), address)
    # One that receives nothing any more is said by a check of its own.
    for normalised in sorted((set(told) & company.bouncing) - company.suppressed):
        yield {"address": told[normalised]}


def configured(company: CompanyFacts) -> Iterator[str]:
    """Every address that a merchant has set to be written to, in the order of the roles."""
    yield from filter(None, (company.manager_email, *company.incident_emails))
    for shop in company.shops:
        yield from filter(None, (shop.manager_email,))
    for shop in company.shops:
        for rule in shop.rules:
            if rule.enabled:
                yield from rule.typed_recipients
    yield from (account.email for account in (*company.users, *company.sftp_accounts) if account.active)


def _gone_in_incidents(company: CompanyFacts) -> Iterator[Hit]:
    gone = gone_addresses(company)
    for address in company.incident_emails:
        if login := gone.get(addresses.normalise(address)):
            yield {"address": address, "login": login}


CHECKS: tuple[Check, ...] = (
    Check(
        "company_without_manager",
        Severity.ERROR,
        FindingScope.COMPANY,
        _("La société n'a pas d'e-mail de Contact gestionnaire : factures, rapports et lettres n'arrivent nulle part."),
        _("Renseignez le Contact gestionnaire dans Infos Société."),
        Place.COMPANY,
        of_company(lambda company: not company.manager_email),
    ),
    Check(
        "contact_address_invalid",
        Severity.ERROR,
        FindingScope.COMPANY,
        _("L'adresse « %(address)s » des contacts de la société ne peut pas recevoir d'e-mail."),
        _("Corrigez l'adresse dans Infos Société."),
        Place.COMPANY,
        all_of_company(_invalid_contacts),
    ),
    Check(
        "no_incident_address",
        Severity.ERROR,
        FindingScope.COMPANY,
        _("Aucun e-mail de contact en cas d'incident n'est renseigné : personne n'est prévenu d'un incident."),
        _("Ajoutez au moins une adresse dans Infos Société."),
        Place.COMPANY,
        of_company(lambda company: not company.incident_emails),
    ),
    Check(
        "address_bounces",
        Severity.ERROR,
        FindingScope.COMPANY,
        _("Aucun message des 30 derniers jours n'est arrivé à %(address)s : le serveur de l'adresse les refuse."),
        _("Remplacez l'adresse partout où elle est configurée, ou faites rétablir la boîte."),
        Place.ADDRESS,
        all_of_company(_bouncing),
    ),
    Check(
        "time_zone_unknown",
        Severity.ERROR,
        FindingScope.COMPANY,
        _("Le fuseau horaire enregistré n'existe plus : les heures des messages sont fausses."),
        _("Choisissez un fuseau horaire dans Infos Société."),
        Place.COMPANY,
        of_company(lambda company: not company.time_zone_known),
    ),
    Check(
        "no_administrator",
        Severity.ERROR,
        FindingScope.COMPANY,
        _("Aucun administrateur actif : personne de la société ne peut gérer ses comptes et ses clés."),
        _("Demandez au support d'ouvrir un compte administrateur."),
        Place.USERS,
        of_company(lambda company: not _administrators(company)),
    ),
    Check(
        "one_administrator",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("%(login)s est le seul administrateur : en son absence, personne ne gère les comptes et les clés."),
        _("Donnez le rôle d'administrateur à une seconde personne."),
        Place.USERS,
        of_company(_lonely_administrator),
    ),
    Check(
        "administrators_never_logged_in",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("Aucun administrateur ne s'est encore connecté."),
        _("Vérifiez que leur lien d'activation est arrivé, ou envoyez-en un nouveau."),
        Place.USERS,
        of_company(_absent_administrators),
    ),
    Check(
        "contacts_same_address",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("Le Contact gestionnaire et le Contact technique ont la même adresse, %(address)s."),
        _("Indiquez la personne qui suit l'intégration, ou retirez le Contact technique."),
        Place.COMPANY,
        of_company(_same_contacts),
    ),
    Check(
        "incidents_reach_manager_only",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("Seul le Contact gestionnaire (%(address)s) est prévenu d'un incident."),
        _("Ajoutez une adresse d'astreinte, lue aussi la nuit et pendant les congés."),
        Place.COMPANY,
        of_company(_only_manager_in_incidents),
    ),
    Check(
        "incident_address_of_disabled_user",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("%(address)s est prévenue des incidents, mais le compte %(login)s est désactivé."),
        _("Retirez l'adresse si la personne a quitté la société."),
        Place.COMPANY,
        all_of_company(_gone_in_incidents),
    ),
    Check(
        "no_registration_number",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("Le numéro d'immatriculation de la société n'est pas renseigné."),
        _("Complétez Infos Société : le numéro figure sur vos factures."),
        Place.COMPANY,
        of_company(lambda company: not company.registration_number.strip()),
    ),
    Check(
        "no_postal_address",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("L'adresse du siège n'est pas renseignée."),
        _("Complétez Infos Société : l'adresse figure sur vos factures."),
        Place.COMPANY,
        of_company(lambda company: not company.address.strip()),
    ),
    Check(
        "language_unlike_shops",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("Les messages de la société sont écrits dans une autre langue que ceux de toutes ses boutiques."),
        _("Vérifiez la langue de la société et celle des boutiques."),
        Place.COMPANY,
        of_company(_unlike_shops),
    ),
)
