"""Every type of event: what happens, and which notifications it leads to besides those of rules.

Triggers of rules come first, in the order in which they are listed everywhere (docs/rules.md 4b); those that
the platform tells of are accepted from outside. The others are published by the back office alone.
"""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class EventType:
    """One row of the table of events.

    Attributes:
        code: stored with every event, never changes.
        leads_to: codes of the notifications that follow, in the order in which they are written.
        fires_rules: rules may have it as a trigger.
        internal: published by the back office alone, refused from outside.
    """

    code: str
    label: Promise
    leads_to: tuple[str, ...] = ()
    fires_rules: bool = False
    internal: bool = True


def _trigger(code: str, label: Promise) -> EventType:
    """What the platform tells of; only rules follow from it."""
    return EventType(code, label, fires_rules=True, internal=False)


EVENTS: tuple[EventType, ...] = (
    _trigger("payment.accepted", _("Paiement accepté")),
    _trigger("payment.refused", _("Paiement refusé")),
    _trigger("payment.abandoned", _("Paiement abandonné par l'acheteur")),
    _trigger("payment.pending_external", _("Paiement en attente de confirmation de la plateforme externe")),
    _trigger("transaction.refunded", _("Transaction remboursée par le marchand")),
    _trigger("transaction.cancelled", _("Transaction annulée à l'initiative du marchand")),
    _trigger("transaction.declined_by_batch", _("Transaction refusée lors de l'autorisation automatique")),
    _trigger("transaction.authorised_by_batch", _("Transaction autorisée par batch d'autorisation automatique")),
    _trigger("transaction.modified", _("Transaction modifiée par le marchand ou l'acquéreur")),
    _trigger("transaction.validated", _("Transaction validée par le marchand")),
    _trigger("subscription.instalment_created", _("Nouvelle échéance d'un abonnement")),
    _trigger("transaction.duplicated", _("Transaction dupliquée par le marchand")),
    _trigger("token.updated", _("Mise à jour d'un alias")),
    _trigger("token.created", _("Création d'un alias")),
    _trigger("subscription.created", _("Création d'un abonnement")),
    _trigger("capture.sent", _("Remise envoyée à l'acquéreur")),
    _trigger("form.invalid", _("Formulaire de paiement invalide")),
    EventType(
        "production_key.regenerated",
        _("Re-génération de la clé de production"),
        ("production_key_generated",),
        fires_rules=True,
    ),
    EventType("payment.silence", _("Aucun paiement accepté depuis trop longtemps, ou leur retour"), fires_rules=True),
    EventType("digest.due", _("Récapitulatif d'une règle"), ("merchant_email",)),
    EventType("newsletter.published", _("Lettre d'information publiée"), ("newsletter",)),
    EventType("newsletter.tried", _("E-mail essayé par l'équipe"), ("address_check",)),
    EventType("incident.told", _("Nouvelles d'un incident"), ("platform_incident",)),
    EventType("incident.resolved", _("Incident résolu"), ("platform_incident",)),
    EventType("sending.needs_a_person", _("L'envoi demande une intervention"), ("staff_alert",)),
    EventType("company.manager_replaced", _("Adresse du Contact gestionnaire remplacée"), ("account_security",)),
    EventType("address.replaced", _("Adresse remplacée ou retirée"), ("address_replaced",)),
    EventType("address.verification_asked", _("Vérification d'une adresse demandée"), ("address_check",)),
    EventType("company.status_changed", _("Société suspendue, fermée ou rouverte"), ("account_security",)),
    EventType("company.relay_closed", _("Serveur d'envoi de la société en panne"), ("account_security",)),
    EventType("company.relay_reopened", _("Serveur d'envoi de la société rétabli"), ("account_security",)),
    EventType("shop.status_changed", _("Boutique suspendue, fermée ou rouverte"), ("account_security",)),
    EventType("shop.created", _("Boutique créée"), ("shop_created",)),
    EventType("production_key.generated", _("Clé de production générée"), ("production_key_generated",)),
    EventType("three_d_secure.activated", _("3D Secure activé"), ("three_d_secure_activated",)),
    EventType(
        "payment_order.sent",
        _("Ordre de paiement envoyé"),
        ("payment_order", "payment_order_copy", "payment_order_extra_copy"),
    ),
    EventType("payment_order.problem", _("Problème signalé par un acheteur"), ("payment_order_problem",)),
    EventType("data_form.requested", _("Mise en ligne d'un formulaire demandée"), ("data_form_go_live",)),
    EventType(
        "data_form.published",
        _("Formulaire mis en ligne"),
        ("data_form_go_live", "data_form_go_live_confirmation"),
    ),
    EventType("data_form.confirmed", _("Mise en ligne d'un formulaire confirmée"), ("data_form_go_live_confirmation",)),
    EventType("billing.issued", _("Facture émise"), ("detailed_billing",)),
    EventType("consistency.errors_found", _("Erreurs trouvées dans les réglages"), ("consistency_report",)),
    EventType("ipn.failed", _("Appel d'une URL de notification en échec"), ("ipn_failure",)),
    EventType("ipn.recovered", _("URL de notification de nouveau joignable"), ("ipn_failure",)),
    EventType("user_account.created", _("Compte utilisateur créé"), ("user_account",)),
    EventType("user_account.modified", _("Compte utilisateur modifié"), ("user_account",)),
    EventType("sftp_account.created", _("Compte SFTP créé"), ("sftp_account",)),
    EventType("sftp_account.modified", _("Compte SFTP modifié"), ("sftp_account",)),
    EventType("account.password_reset_requested", _("Nouveau mot de passe demandé"), ("account_security",)),
    EventType("account.password_changed", _("Mot de passe changé"), ("account_security",)),
    EventType("account.address_changed", _("Adresse d'un compte changée"), ("account_security",)),
    EventType("account.second_factor_changed", _("Double authentification changée"), ("account_security",)),
    EventType("account.locked", _("Compte verrouillé"), ("account_security",)),
    EventType("account.new_device", _("Connexion depuis un nouvel appareil"), ("account_security",)),
)

TRIGGERS: tuple[EventType, ...] = tuple(event for event in EVENTS if event.fires_rules)
TRIGGER_ORDER: dict[str, int] = {trigger.code: position for position, trigger in enumerate(TRIGGERS)}
TRIGGER_LABELS: dict[str, Promise] = {trigger.code: trigger.label for trigger in TRIGGERS}
EVENT_LABELS: dict[str, Promise] = {event.code: event.label for event in EVENTS}
EXTERNAL_TYPES = frozenset(event.code for event in EVENTS if not event.internal)
NOTIFICATIONS_OF_EVENT: dict[str, tuple[str, ...]] = {event.code: event.leads_to for event in EVENTS}


def sort_triggers(triggers: "tuple[str, ...] | list[str]") -> list[str]:
    """Trigger codes in catalogue order, without repeats."""
    return sorted(set(triggers), key=TRIGGER_ORDER.__getitem__)
