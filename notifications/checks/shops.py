"""Checks of shops and their contracts.

Pure: no database, no settings, no clock.
"""

from collections.abc import Iterator

from django.utils.translation import gettext_lazy as _

from notifications.checks.findings import (
    Check,
    FindingScope,
    Hit,
    Place,
    Severity,
    all_of_company,
    contract_place,
    is_bad,
    of_each_contract,
    of_each_shop,
)
from notifications.core.catalogue import RuleType
from notifications.core.facts import CompanyFacts, RuleFacts, ShopFacts

# After this many days a shop with a contract and without production key was probably forgotten.
LONG_TEST_PHASE_DAYS = 60


def _old_algorithm(shop: ShopFacts) -> bool | Hit:
    old = [mode for mode, name in shop.algorithms if name == "SHA-1" and mode.lower() in shop.keys]
    return {"modes": ", ".join(old)} if old else False


def _unlike_algorithms(shop: ShopFacts) -> bool | Hit:
    names = dict(shop.algorithms)
    if shop.in_production and len(set(names.values())) > 1:
        return {"test": names["TEST"], "production": names["PRODUCTION"]}
    return False


def _no_call(shop: ShopFacts) -> bool:
    calls = _call_rules(shop)
    return shop.in_production and bool(calls) and not any(rule.enabled for rule in calls)


def _without_call_rule(shop: ShopFacts) -> bool:
    return shop.in_production and not _call_rules(shop)


def _call_rules(shop: ShopFacts) -> list[RuleFacts]:
    return [rule for rule in shop.rules if rule.type == RuleType.IPN_CALL]


def _shared_contracts(company: CompanyFacts) -> Iterator[Hit]:
    users: dict[str, list[ShopFacts]] = {}
    for shop in company.shops:
        for contract in shop.contracts:
            users.setdefault(contract_place(contract), []).append(shop)
    for place, shops in users.items():
        for shop in shops[1:]:
            yield {"shop": shop.site_id, "contract": place, "other": shops[0].name}


CHECKS: tuple[Check, ...] = (
    Check(
        "shop_without_test_key",
        Severity.ERROR,
        FindingScope.SHOP,
        _("La boutique n'a pas de clé de test : aucun paiement d'essai n'est possible."),
        _("Demandez au support de rétablir la clé de test."),
        Place.KEYS,
        of_each_shop(lambda shop: "test" not in shop.keys),
    ),
    Check(
        "production_without_contract",
        Severity.ERROR,
        FindingScope.SHOP,
        _("La boutique a une clé de production mais aucun contrat : elle ne peut encaisser aucun paiement."),
        _("Ajoutez le contrat (MID) que votre banque vous a donné."),
        Place.CONTRACTS,
        of_each_shop(lambda shop: shop.in_production and not shop.contracts),
    ),
    Check(
        "manager_address_invalid",
        Severity.ERROR,
        FindingScope.SHOP,
        _("L'e-mail gestionnaire « %(address)s » de la boutique ne peut pas recevoir d'e-mail."),
        _("Corrigez l'e-mail gestionnaire, ou videz-le pour hériter du Contact gestionnaire."),
        Place.CONFIGURATION,
        of_each_shop(
            lambda shop: {"address": shop.manager_email} if shop.manager_email and is_bad(shop.manager_email) else False
        ),
    ),
    Check(
        "shop_without_contract",
        Severity.WARNING,
        FindingScope.SHOP,
        _("La boutique n'a pas encore de contrat."),
        _("Ajoutez le contrat (MID) que votre banque vous a donné avant de passer en production."),
        Place.CONTRACTS,
        of_each_shop(lambda shop: not shop.in_production and not shop.contracts),
    ),
    Check(
        "long_test_phase",
        Severity.WARNING,
        FindingScope.SHOP,
        _("La boutique a un contrat mais pas de clé de production, %(days)s jours après sa création."),
        _("Terminez la phase de test puis générez la clé de production."),
        Place.KEYS,
        of_each_shop(
            lambda shop: (
                {"days": shop.age_days}
                if shop.contracts and not shop.in_production and shop.age_days >= LONG_TEST_PHASE_DAYS
                else False
            )
        ),
    ),
    Check(
        "shop_without_url",
        Severity.WARNING,
        FindingScope.SHOP,
        _("L'URL de la boutique n'est pas renseignée."),
        _("Indiquez l'adresse du site marchand : elle figure dans les messages aux acheteurs."),
        Place.CONFIGURATION,
        of_each_shop(lambda shop: not shop.url),
    ),
    Check(
        "shop_url_in_clear",
        Severity.WARNING,
        FindingScope.SHOP,
        _("L'URL de la boutique n'est pas chiffrée : %(url)s."),
        _("Utilisez une adresse https://."),
        Place.CONFIGURATION,
        of_each_shop(lambda shop: {"url": shop.url} if shop.url.lower().startswith("http://") else False),
    ),
    Check(
        "old_signature_algorithm",
        Severity.WARNING,
        FindingScope.SHOP,
        _("La signature utilise encore SHA-1 (%(modes)s), un algorithme dépassé."),
        _("Passez à HMAC-SHA-256 dans les clés de la boutique ; les deux sont acceptés pendant 24 heures."),
        Place.KEYS,
        of_each_shop(_old_algorithm),
    ),
    Check(
        "algorithms_differ",
        Severity.WARNING,
        FindingScope.SHOP,
        _(
            "Le mode TEST signe avec %(test)s et le mode PRODUCTION avec %(production)s : vos essais ne prouvent pas tout."
        ),
        _("Choisissez le même algorithme dans les deux modes."),
        Place.KEYS,
        of_each_shop(_unlike_algorithms),
    ),
    Check(
        "no_call_rule",
        Severity.WARNING,
        FindingScope.SHOP,
        _("Aucun appel URL de notification n'est activé : votre site n'apprend pas les paiements par la plateforme."),
        _("Activez une des règles d'appel de la boutique."),
        Place.RULES,
        of_each_shop(_no_call),
    ),
    Check(
        "shop_without_call_rule",
        Severity.WARNING,
        FindingScope.SHOP,
        _("La boutique n'a aucune règle d'appel : votre site n'apprend pas les paiements par la plateforme."),
        _("Créez une règle « Appel URL de notification »."),
        Place.RULES,
        of_each_shop(_without_call_rule),
    ),
    Check(
        "contract_without_three_d_secure",
        Severity.WARNING,
        FindingScope.CONTRACT,
        _("Le 3D Secure n'est pas activé : vos paiements par carte ne sont pas garantis contre la fraude."),
        _("Demandez l'enrôlement à votre banque, puis activez-le dans Authentification."),
        Place.CONTRACTS,
        of_each_contract(lambda shop, contract: contract.takes_cards and not contract.three_d_secure),
    ),
    Check(
        "contract_in_two_shops",
        Severity.WARNING,
        FindingScope.CONTRACT,
        _("Ce contrat sert aussi à la boutique « %(other)s » : leurs remises se confondent à la banque."),
        _("Vérifiez le numéro de contrat, ou demandez à votre banque un contrat par boutique."),
        Place.CONTRACTS,
        all_of_company(_shared_contracts),
    ),
)
