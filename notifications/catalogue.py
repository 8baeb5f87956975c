"""The catalogue: every notification of the platform, as frozen rows (DESIGN 3 and 4b).

The source document turned into one table. Screens, forms, admin filters, e-mails, the API and
the tests are derived from these rows; codes are stored and never change. Adding a notification
is one row here, its wording in `wording.py`, its mail in `emails.py` and a test.

Pure: no database, no settings, no clock.
"""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

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


@dataclass(frozen=True)
class Notification:
    """One row of the catalogue.

    Attributes:
        code: stored everywhere, never changes.
        scope: what one line of the table is about.
        to: source of the main recipient(s).
        cc: source of the copy, sent only if the address differs from every main recipient.
        label: name on screens.
        when: what makes it happen, completing « envoyé quand … ».
        conditional: True when it depends on a choice made each time (payment order copies).
        one_message_each: True when recipients must not see each other (DESIGN 4.7).
        in_tables: False for the second group, whose addressee is no configured address.
    """

    code: str
    scope: Scope
    to: Source
    label: Promise
    when: Promise
    cc: Source | None = None
    conditional: bool = False
    one_message_each: bool = False
    in_tables: bool = True


CATALOGUE: tuple[Notification, ...] = (
    Notification(
        "ipn_failure",
        Scope.RULE,
        Source.RULE,
        _("Échec d'un appel URL de notification"),
        _("un appel à une URL de notification échoue, ou l'URL répond de nouveau"),
    ),
    Notification(
        "merchant_email",
        Scope.RULE,
        Source.RULE,
        _("E-mail envoyé au marchand"),
        _("un événement de la règle survient"),
    ),
    Notification(
        "shop_created",
        Scope.SHOP,
        Source.SHOP_MANAGER,
        _("Création de la boutique"),
        _("une boutique est créée"),
        cc=Source.COMPANY_MANAGER,
    ),
    Notification(
        "production_key_generated",
        Scope.SHOP,
        Source.SHOP_MANAGER,
        _("(Re)génération de la clé de production"),
        _("la clé de production est générée ou régénérée"),
        cc=Source.COMPANY_MANAGER,
    ),
    Notification(
        "three_d_secure_activated",
        Scope.SHOP,
        Source.SHOP_MANAGER,
        _("Activation du 3D Secure"),
        _("le 3D Secure est activé sur un contrat"),
    ),
    Notification(
        "payment_order_problem",
        Scope.SHOP,
        Source.SHOP_MANAGER,
        _("Problème signalé par un acheteur sur un ordre de paiement"),
        _("un acheteur signale un problème sur un ordre de paiement"),
    ),
    Notification(
        "payment_order_copy",
        Scope.SHOP,
        Source.SHOP_MANAGER,
        _("Copie d'un ordre de paiement"),
        _("un ordre de paiement est envoyé par e-mail"),
        conditional=True,
        one_message_each=True,
    ),
    Notification(
        "data_form_go_live",
        Scope.SHOP,
        Source.COMPANY_MANAGER,
        _("Mise en production du formulaire de collecte de données"),
        _("la mise en production d'un formulaire de collecte de données est demandée ou faite"),
    ),
    Notification(
        "data_form_go_live_confirmation",
        Scope.SHOP,
        Source.COMPANY_MANAGER,
        _("Confirmation de mise en production du formulaire de collecte de données"),
        _("le formulaire de collecte de données est en ligne"),
    ),
    Notification(
        "detailed_billing",
        Scope.SHOP,
        Source.COMPANY_MANAGER,
        _("Facturation détaillée de la boutique"),
        _("la facturation détaillée d'une boutique est émise"),
    ),
    Notification(
        "consistency_report",
        Scope.COMPANY,
        Source.COMPANY_MANAGER,
        _("Rapport de consistance de données"),
        _("les contrôles trouvent des erreurs sur la société, une boutique ou un contrat"),
    ),
    Notification(
        "newsletter",
        Scope.COMPANY,
        Source.COMPANY_MANAGER,
        _("Lettre d'information"),
        _("la plateforme publie une lettre d'information"),
        one_message_each=True,
    ),
    Notification(
        "platform_incident",
        Scope.COMPANY,
        Source.INCIDENT_CONTACT,
        _("Incident sur la plateforme de paiement"),
        _("un incident est ouvert, mis à jour ou résolu"),
        one_message_each=True,
    ),
    Notification(
        "user_account",
        Scope.ACCOUNT,
        Source.USER,
        _("Création ou modification d'un compte utilisateur"),
        _("un compte utilisateur est créé ou modifié"),
    ),
    Notification(
        "sftp_account",
        Scope.ACCOUNT,
        Source.SFTP_ACCOUNT,
        _("Création ou modification d'un compte SFTP"),
        _("un compte SFTP est créé ou modifié"),
    ),
    # Second group: resolved and journaled like the others, but in no delivery table, because the
    # addressee is not an address configured in the back office.
    Notification(
        "buyer_email",
        Scope.RULE,
        Source.BUYER,
        _("E-mail envoyé à l'acheteur"),
        _("un événement de la règle survient"),
        in_tables=False,
    ),
    Notification(
        "payment_order",
        Scope.SHOP,
        Source.BUYER,
        _("Ordre de paiement"),
        _("un ordre de paiement est envoyé par e-mail"),
        in_tables=False,
    ),
    Notification(
        "payment_order_extra_copy",
        Scope.SHOP,
        Source.ORDER,
        _("Copie d'un ordre de paiement à une autre adresse"),
        _("un ordre de paiement est envoyé par e-mail avec une seconde adresse en copie"),
        one_message_each=True,
        in_tables=False,
    ),
    Notification(
        "account_security",
        Scope.ACCOUNT,
        Source.USER,
        _("Sécurité du compte"),
        _("le mot de passe, l'adresse ou la protection d'un compte change, ou une réinitialisation est demandée"),
        in_tables=False,
    ),
    Notification(
        "address_check",
        Scope.COMPANY,
        Source.TYPED,
        _("Vérification d'une adresse"),
        _("une adresse est vérifiée par un message de test"),
        in_tables=False,
    ),
    # The call itself, in the journal beside the mails it leads to; goes to a URL, to no address.
    Notification(
        "ipn_call",
        Scope.RULE,
        Source.URL,
        _("Appel URL de notification"),
        _("un événement de la règle survient"),
        in_tables=False,
    ),
)

BY_CODE: dict[str, Notification] = {row.code: row for row in CATALOGUE}
ORDER: dict[str, int] = {row.code: position for position, row in enumerate(CATALOGUE)}
TABLE_ROWS: tuple[Notification, ...] = tuple(row for row in CATALOGUE if row.in_tables)
# The notification each rule type leads to: what its recipients receive.
NOTIFICATION_OF_RULE_TYPE: dict[str, str] = {
    RuleType.IPN_CALL: "ipn_failure",
    RuleType.MERCHANT_EMAIL: "merchant_email",
    RuleType.BUYER_EMAIL: "buyer_email",
}
# Sent whatever the state of the shop or company (DESIGN 4.12).
SENT_IN_ANY_STATE = frozenset({"user_account", "sftp_account", "account_security"})

CHOICES: tuple[tuple[str, Promise], ...] = tuple((row.code, row.label) for row in CATALOGUE)

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


@dataclass(frozen=True)
class Trigger:
    """An event that rules react to. `internal` ones are published by the back office only."""

    code: str
    label: Promise
    internal: bool = False


TRIGGERS: tuple[Trigger, ...] = (
    Trigger("payment.accepted", _("Paiement accepté")),
    Trigger("payment.refused", _("Paiement refusé")),
    Trigger("payment.abandoned", _("Paiement abandonné par l'acheteur")),
    Trigger("payment.pending_external", _("Paiement en attente de confirmation de la plateforme externe")),
    Trigger("transaction.refunded", _("Transaction remboursée par le marchand")),
    Trigger("transaction.cancelled", _("Transaction annulée à l'initiative du marchand")),
    Trigger("transaction.declined_by_batch", _("Transaction refusée lors de l'autorisation automatique")),
    Trigger("transaction.authorised_by_batch", _("Transaction autorisée par batch d'autorisation automatique")),
    Trigger("transaction.modified", _("Transaction modifiée par le marchand ou l'acquéreur")),
    Trigger("transaction.validated", _("Transaction validée par le marchand")),
    Trigger("subscription.instalment_created", _("Nouvelle échéance d'un abonnement")),
    Trigger("transaction.duplicated", _("Transaction dupliquée par le marchand")),
    Trigger("token.updated", _("Mise à jour d'un alias")),
    Trigger("token.created", _("Création d'un alias")),
    Trigger("subscription.created", _("Création d'un abonnement")),
    Trigger("capture.sent", _("Remise envoyée à l'acquéreur")),
    Trigger("form.invalid", _("Formulaire de paiement invalide")),
    Trigger("production_key.regenerated", _("Re-génération de la clé de production"), internal=True),
)
TRIGGER_ORDER: dict[str, int] = {trigger.code: position for position, trigger in enumerate(TRIGGERS)}
TRIGGER_LABELS: dict[str, Promise] = {trigger.code: trigger.label for trigger in TRIGGERS}
EXTERNAL_TYPES = frozenset(trigger.code for trigger in TRIGGERS if not trigger.internal)

SOURCES_OF_EVENT: dict[str, Promise] = {
    "FORM": _("Formulaire de paiement"),
    "JS": _("Client JavaScript"),
    "BO": _("Back Office"),
    "BATCH": _("Traitement par batch"),
    "REC": _("Paiement récurrent"),
    "PAYMENT_ORDER": _("Ordre de paiement"),
    "DCF": _("Formulaire de collecte de données"),
    "FILE": _("Échange de fichiers"),
}
MODES = ("TEST", "PRODUCTION")


@dataclass(frozen=True)
class Variable:
    """A value of an event that rule conditions may compare.

    `kind` decides what it is compared with: integer, text, choice (one of `values`) or boolean.
    """

    code: str
    label: Promise
    kind: str
    operators: tuple[str, ...]
    values: tuple[str, ...] = ()


_EQUALITY = ("eq", "ne", "in", "not_in")
VARIABLES: dict[str, Variable] = {
    variable.code: variable
    for variable in (
        Variable("mode", _("mode"), "choice", _EQUALITY, MODES),
        Variable("amount", _("montant"), "integer", ("eq", "ne", "gt", "lt", "in", "not_in")),
        Variable("currency", _("devise"), "text", _EQUALITY),
        Variable("source", _("source de l'événement"), "choice", _EQUALITY, tuple(SOURCES_OF_EVENT)),
        Variable("network", _("réseau"), "text", _EQUALITY),
        Variable("instalments", _("paiement en plusieurs fois"), "boolean", ("eq", "ne")),
        Variable("contract", _("contrat"), "text", _EQUALITY),
    )
}
OPERATORS: dict[str, Promise] = {
    "eq": pgettext_lazy("condition", "est égal à"),
    "ne": pgettext_lazy("condition", "est différent de"),
    "gt": pgettext_lazy("condition", "est supérieur à"),
    "lt": pgettext_lazy("condition", "est inférieur à"),
    "in": pgettext_lazy("condition", "est dans la liste"),
    "not_in": pgettext_lazy("condition", "n'est pas dans la liste"),
}
PROFILES: dict[str, Promise] = {
    "standard": _("Standard : 4 rejeux au quart d'heure"),
    "extended": _("Étendu : 10 tentatives sur 75 heures"),
}


@dataclass(frozen=True)
class DefaultRule:
    """A rule that every new shop receives; its recipients are the shop manager."""

    reference: str
    type: RuleType
    label: Promise
    triggers: tuple[str, ...]
    enabled: bool = False
    conditions: tuple[tuple[str, str, object], ...] = ()


_IPN, _MERCHANT, _BUYER = RuleType.IPN_CALL, RuleType.MERCHANT_EMAIL, RuleType.BUYER_EMAIL
DEFAULT_RULES: tuple[DefaultRule, ...] = (
    DefaultRule(
        "ipn-end",
        _IPN,
        _("URL de notification à la fin du paiement"),
        ("payment.accepted", "payment.refused", "token.created", "token.updated", "subscription.created"),
        enabled=True,
        conditions=(("source", "not_in", ("BO", "BATCH", "REC")),),
    ),
    DefaultRule(
        "ipn-recurring",
        _IPN,
        _("URL de notification à la création d'un paiement par récurrence"),
        ("subscription.instalment_created",),
    ),
    DefaultRule(
        "ipn-batch-authorisation",
        _IPN,
        _("URL de notification sur autorisation par batch"),
        ("transaction.authorised_by_batch", "transaction.declined_by_batch"),
    ),
    DefaultRule(
        "ipn-batch-change",
        _IPN,
        _("URL de notification sur modification par batch"),
        ("transaction.modified",),
        conditions=(("source", "in", ("BATCH",)),),
    ),
    DefaultRule("ipn-cancellation", _IPN, _("URL de notification sur annulation"), ("payment.abandoned",)),
    DefaultRule(
        "ipn-back-office",
        _IPN,
        _("URL de notification sur une opération provenant du Back Office"),
        (
            "payment.accepted",
            "payment.refused",
            "transaction.modified",
            "transaction.duplicated",
            "transaction.refunded",
            "transaction.cancelled",
            "transaction.validated",
            "token.created",
            "token.updated",
        ),
        conditions=(("source", "in", ("BO",)),),
    ),
    DefaultRule(
        "ipn-pending",
        _IPN,
        _("URL de notification suite à un paiement en attente de confirmation de la plateforme externe"),
        ("payment.pending_external",),
    ),
    DefaultRule("mail-payment", _MERCHANT, _("E-mail de confirmation de paiement"), ("payment.accepted",)),
    DefaultRule("mail-subscription", _MERCHANT, _("E-mail de confirmation d'abonnement"), ("subscription.created",)),
    DefaultRule(
        "mail-instalment-refused",
        _MERCHANT,
        _("E-mail de refus échéance de paiement en n fois"),
        ("transaction.declined_by_batch",),
        conditions=(("instalments", "eq", True),),
    ),
    DefaultRule(
        "mail-deferred-refused",
        _MERCHANT,
        _("E-mail de refus de paiement différé"),
        ("transaction.declined_by_batch",),
        conditions=(("instalments", "eq", False),),
    ),
    DefaultRule(
        "mail-key", _MERCHANT, _("E-mail de re-génération de la clé de production"), ("production_key.regenerated",)
    ),
    DefaultRule(
        "mail-sepa-file",
        _MERCHANT,
        _("E-mail de confirmation d'envoi d'un fichier de prélèvements ou de virements"),
        ("capture.sent",),
        conditions=(("network", "in", ("SEPA",)),),
    ),
    DefaultRule(
        "mail-token",
        _MERCHANT,
        _("E-mail de confirmation de création ou mise à jour d'un alias"),
        ("token.created", "token.updated"),
    ),
    DefaultRule(
        "mail-form-error", _MERCHANT, _("E-mail sur formulaire de paiement invalide"), ("form.invalid",), enabled=True
    ),
    DefaultRule("buyer-payment", _BUYER, _("E-mail de confirmation de paiement"), ("payment.accepted",)),
    DefaultRule("buyer-subscription", _BUYER, _("E-mail de confirmation d'abonnement"), ("subscription.created",)),
    DefaultRule(
        "buyer-token",
        _BUYER,
        _("E-mail de confirmation de création et/ou de mise à jour d'alias"),
        ("token.created", "token.updated"),
    ),
    DefaultRule(
        "buyer-sepa",
        _BUYER,
        _("E-mail de pré-notification de prélèvement SEPA à destination de l'acheteur"),
        ("capture.sent",),
        conditions=(("network", "in", ("SEPA",)),),
    ),
)


def sort_triggers(triggers: "tuple[str, ...] | list[str]") -> list[str]:
    """Trigger codes in catalogue order, without repeats."""
    return sorted(set(triggers), key=TRIGGER_ORDER.__getitem__)
