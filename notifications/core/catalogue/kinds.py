"""The kinds that notifications and rules are made of: codes that are stored, with their labels."""

from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

SHOP_MANAGER_SYMBOL = "@shop_manager"


class Scope(StrEnum):
    """What a notification is about; decides how many lines it has in the tables."""

    SHOP = "shop"
    RULE = "rule"
    COMPANY = "company"
    ACCOUNT = "account"


class Source(StrEnum):
    """Where an address comes from: `source` in tables, journal and API."""

    SHOP_MANAGER = "shop_manager"
    COMPANY_MANAGER = "company_manager"
    INCIDENT_CONTACT = "incident_contact"
    RULE = "rule"
    USER = "user"
    SFTP_ACCOUNT = "sftp_account"
    BUYER = "buyer"
    ORDER = "order"
    TYPED = "typed"
    URL = "url"


class RuleType(StrEnum):
    IPN_CALL = "ipn_call"
    MERCHANT_EMAIL = "merchant_email"
    BUYER_EMAIL = "buyer_email"


class Channel(StrEnum):
    EMAIL = "email"
    IPN = "ipn"


RULE_TYPE_LABELS: dict[str, Promise] = {
    RuleType.IPN_CALL: _("Appel URL de notification"),
    RuleType.MERCHANT_EMAIL: _("E-mail envoyé au marchand"),
    RuleType.BUYER_EMAIL: _("E-mail envoyé à l'acheteur"),
}

SOURCE_LABELS: dict[str, Promise] = {
    Source.SHOP_MANAGER: _("E-mail gestionnaire de la boutique"),
    Source.COMPANY_MANAGER: _("Contact gestionnaire"),
    Source.INCIDENT_CONTACT: _("Contact en cas d'incident"),
    Source.RULE: _("Règle de notification"),
    Source.USER: _("Compte utilisateur"),
    Source.SFTP_ACCOUNT: _("Compte SFTP"),
    Source.BUYER: _("Acheteur"),
    Source.ORDER: _("Ordre de paiement"),
    Source.TYPED: _("Adresse saisie"),
    Source.URL: _("URL de notification"),
}
# How the mails of a rule are put together: one for each event, or one for all of an hour or a day.
EACH = "each"
DIGESTS: dict[str, Promise] = {
    EACH: _("Un e-mail par événement"),
    "hourly": _("Un récapitulatif par heure, à l'heure pleine"),
    "daily": _("Un récapitulatif par jour, à 7 h"),
}
PROFILES: dict[str, Promise] = {
    "standard": _("Standard : 4 rejeux au quart d'heure"),
    "extended": _("Étendu : 10 tentatives sur 75 heures"),
}
