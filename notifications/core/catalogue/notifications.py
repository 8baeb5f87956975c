"""Every notification of the platform, as frozen rows (docs/rules.md 3): the source document turned into one table.

Screens, forms, admin filters, mails, the API and the tests follow from these rows. Adding a notification:

1. Its row in `CATALOGUE` below, and in `events.py` the type of event whose `leads_to` names it (a notification of
   rules has its `rule_type` instead).
2. Its wording, where the general sentences do not fit: `notifications/core/wording.py`, with the reason in
   `notifications/core/reasons.py`.
3. Its mail: a composer in `notifications/mail/composers/`, one module a subject, and its sample in
   `notifications/mail/showcase.py`.
4. A test with the event that causes it, and its line in docs/rules.md 3.

`tests/notifications/core/test_catalogue.py` fails and names what is missing until the row is whole.
"""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications.core.catalogue.kinds import RuleType, Scope, Source
from notifications.core.reasons import Reason


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
        rule_type: the type of the rules that lead to it, where rules do.
        conditional: True when it depends on a choice made each time (payment order copies).
        one_message_each: True when recipients must not see each other (docs/rules.md 4.7).
        can_be_refused: the company may say that it wants none.
        critical: missing it costs money or time before anybody notices.
        in_any_state: sent whatever the state of shop or company (docs/rules.md 4.12).
        in_tables: False for the second group, whose addressee is no configured address.
        because: of the second group, why its addressee is told.
        without_address: of the second group, why nothing is sent while the occasion brings no address.
    """

    code: str
    scope: Scope
    to: Source
    label: Promise
    when: Promise
    cc: Source | None = None
    rule_type: RuleType | None = None
    conditional: bool = False
    one_message_each: bool = False
    can_be_refused: bool = False
    critical: bool = False
    in_any_state: bool = False
    in_tables: bool = True
    because: Reason | None = None
    without_address: Reason = Reason.NO_BUYER_ADDRESS

    @property
    def tells_of_calls(self) -> bool:
        """Sent when a call goes wrong: where nothing is called it cannot happen."""
        return self.rule_type is RuleType.IPN_CALL


CATALOGUE: tuple[Notification, ...] = (
    Notification(
        "ipn_failure",
        Scope.RULE,
        Source.RULE,
        _("Échec d'un appel URL de notification"),
        _("un appel à une URL de notification échoue, ou l'URL répond de nouveau"),
        rule_type=RuleType.IPN_CALL,
        critical=True,
    ),
    Notification(
        "merchant_email",
        Scope.RULE,
        Source.RULE,
        _("E-mail envoyé au marchand"),
        _("un événement de la règle survient"),
        rule_type=RuleType.MERCHANT_EMAIL,
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
        critical=True,
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
        can_be_refused=True,
    ),
    Notification(
        "platform_incident",
        Scope.COMPANY,
        Source.INCIDENT_CONTACT,
        _("Incident sur la plateforme de paiement"),
        _("un incident est ouvert, mis à jour ou résolu"),
        one_message_each=True,
        critical=True,
    ),
    Notification(
        "user_account",
        Scope.ACCOUNT,
        Source.USER,
        _("Création ou modification d'un compte utilisateur"),
        _("un compte utilisateur est créé ou modifié"),
        in_any_state=True,
    ),
    Notification(
        "sftp_account",
        Scope.ACCOUNT,
        Source.SFTP_ACCOUNT,
        _("Création ou modification d'un compte SFTP"),
        _("un compte SFTP est créé ou modifié"),
        in_any_state=True,
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
        rule_type=RuleType.BUYER_EMAIL,
        because=Reason.BUYER,
    ),
    Notification(
        "payment_order",
        Scope.SHOP,
        Source.BUYER,
        _("Ordre de paiement"),
        _("un ordre de paiement est envoyé par e-mail"),
        in_tables=False,
        because=Reason.ORDER_RECIPIENT,
    ),
    Notification(
        "payment_order_extra_copy",
        Scope.SHOP,
        Source.ORDER,
        _("Copie d'un ordre de paiement à une autre adresse"),
        _("un ordre de paiement est envoyé par e-mail avec une seconde adresse en copie"),
        one_message_each=True,
        in_tables=False,
        because=Reason.ORDER_EXTRA_COPY,
    ),
    Notification(
        "account_security",
        Scope.ACCOUNT,
        Source.USER,
        _("Sécurité du compte"),
        _(
            "le mot de passe, l'adresse ou la protection d'un compte change, une réinitialisation est demandée, l'adresse "
            "du Contact gestionnaire est remplacée, une boutique ou la société est suspendue, fermée ou rouverte, ou le "
            "serveur d'envoi de la société refuse nos messages ou les accepte de nouveau"
        ),
        one_message_each=True,
        in_tables=False,
        in_any_state=True,
        because=Reason.ACCOUNT_SECURITY,
    ),
    Notification(
        "address_check",
        Scope.COMPANY,
        Source.TYPED,
        _("Vérification d'une adresse"),
        _("une adresse est vérifiée par un message de test"),
        in_tables=False,
        because=Reason.CHECKED_ADDRESS,
    ),
    Notification(
        "staff_alert",
        Scope.COMPANY,
        Source.TYPED,
        _("Alerte à l'équipe de la plateforme"),
        _("l'envoi demande l'intervention d'une personne, ou ne la demande plus"),
        one_message_each=True,
        in_tables=False,
        because=Reason.PLATFORM_STAFF,
    ),
    Notification(
        "address_replaced",
        Scope.COMPANY,
        Source.TYPED,
        _("Adresse remplacée ou retirée"),
        _("une adresse est remplacée ou retirée partout dans le paramétrage, et les deux adresses en sont prévenues"),
        one_message_each=True,
        in_tables=False,
        in_any_state=True,
        because=Reason.REPLACED_ADDRESS,
    ),
    # The call itself, in the journal beside the mails it leads to; goes to a URL, to no address.
    Notification(
        "ipn_call",
        Scope.RULE,
        Source.URL,
        _("Appel URL de notification"),
        _("un événement de la règle survient"),
        in_tables=False,
        because=Reason.CALLED_URL,
        without_address=Reason.NO_URL,
    ),
)

BY_CODE: dict[str, Notification] = {row.code: row for row in CATALOGUE}
ORDER: dict[str, int] = {row.code: position for position, row in enumerate(CATALOGUE)}
TABLE_ROWS: tuple[Notification, ...] = tuple(row for row in CATALOGUE if row.in_tables)
# The notification each rule type leads to: what its recipients receive.
NOTIFICATION_OF_RULE_TYPE: dict[str, str] = {row.rule_type: row.code for row in CATALOGUE if row.rule_type}
SENT_IN_ANY_STATE = frozenset(row.code for row in CATALOGUE if row.in_any_state)
CHOICES: tuple[tuple[str, Promise], ...] = tuple((row.code, row.label) for row in CATALOGUE)
