"""The entries of the history as sentences."""

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from companies.models import AuditEntry, Contact
from notifications.core.catalogue import BY_CODE

# action of AuditEntry → what happened; « %(object)s » stands for the object's designation then.
ACTIONS: dict[str, Promise] = {
    "company.created": gettext_lazy("Société créée"),
    "consistency.asked": gettext_lazy("Contrôle de consistance demandé : %(object)s"),
    "consistency.checked": gettext_lazy("Consistance des données vérifiée : %(object)s"),
    "company.updated": gettext_lazy("Infos Société modifiées"),
    "company.status_changed": gettext_lazy("État de la société changé"),
    "contact.created": gettext_lazy("Contact ajouté : %(object)s"),
    "contact.updated": gettext_lazy("Contact modifié : %(object)s"),
    "contact.deleted": gettext_lazy("Contact retiré : %(object)s"),
    "contacts.swapped": gettext_lazy("Contact gestionnaire et Contact technique intervertis"),
    "user.created": gettext_lazy("Compte utilisateur créé : %(object)s"),
    "user.updated": gettext_lazy("Compte utilisateur modifié : %(object)s"),
    "user.password_changed": gettext_lazy("Mot de passe changé : %(object)s"),
    "user.invited": gettext_lazy("Invitation renvoyée : %(object)s"),
    "user.address_confirmed": gettext_lazy("Adresse confirmée : %(object)s"),
    "user.password_reset": gettext_lazy("Mot de passe réinitialisé : %(object)s"),
    "user.locked": gettext_lazy("Compte verrouillé après des mots de passe ou codes erronés : %(object)s"),
    "user.unlocked": gettext_lazy("Compte déverrouillé : %(object)s"),
    "user.access_removed": gettext_lazy("Accès retiré : %(object)s"),
    "user.login_link": gettext_lazy("Lien de connexion fourni par l'équipe : %(object)s"),
    "user.sessions_ended": gettext_lazy("Sessions fermées : %(object)s"),
    "user.totp_activated": gettext_lazy("Application d'authentification activée : %(object)s"),
    "user.totp_deactivated": gettext_lazy("Application d'authentification désactivée : %(object)s"),
    "user.webauthn_added": gettext_lazy("Clé d'accès ajoutée : %(object)s"),
    "user.webauthn_removed": gettext_lazy("Clé d'accès retirée : %(object)s"),
    "user.codes_generated": gettext_lazy("Nouveaux codes de secours : %(object)s"),
    "user.passkey_renamed": gettext_lazy("Clé d'accès renommée : %(object)s"),
    "user.viewed_as": gettext_lazy("L'équipe de la plateforme a vu le back office comme %(object)s"),
    "user.view_as_ended": gettext_lazy("L'équipe de la plateforme ne voit plus le back office comme %(object)s"),
    "address.exported": gettext_lazy("Données d'une adresse exportées : %(object)s"),
    "address.verified": gettext_lazy("Adresse vérifiée : %(object)s"),
    "address.bouncing": gettext_lazy("Messages refusés par une adresse : %(object)s"),
    "address.suppressed": gettext_lazy("Adresse neutralisée, ses messages reviennent : %(object)s"),
    "address.recovered": gettext_lazy("Adresse de nouveau joignable : %(object)s"),
    "address.reactivated": gettext_lazy("Adresse réactivée : %(object)s"),
    "address.erased": gettext_lazy("Adresse effacée : %(object)s"),
    "sftp_account.created": gettext_lazy("Compte SFTP créé : %(object)s"),
    "sftp_account.updated": gettext_lazy("Compte SFTP modifié : %(object)s"),
    "sftp_account.password_reset": gettext_lazy("Nouveau mot de passe SFTP : %(object)s"),
    "sftp_account.revealed": gettext_lazy("Mot de passe SFTP affiché : %(object)s"),
    "shop.created": gettext_lazy("Boutique créée : %(object)s"),
    "shop.updated": gettext_lazy("Boutique modifiée : %(object)s"),
    "shop.status_changed": gettext_lazy("État de la boutique changé : %(object)s"),
    "contract.created": gettext_lazy("Contrat ajouté : %(object)s"),
    "contract.updated": gettext_lazy("Contrat modifié : %(object)s"),
    "contract.deleted": gettext_lazy("Contrat retiré : %(object)s"),
    "shop.tests_done": gettext_lazy("Phase de test terminée : %(object)s"),
    "key.saved": gettext_lazy("Clé enregistrée : %(object)s"),
    "key.generated": gettext_lazy("Clé générée : %(object)s"),
    "key.regenerated": gettext_lazy("Clé régénérée : %(object)s"),
    "key.shown": gettext_lazy("Clé affichée : %(object)s"),
    "key.deleted": gettext_lazy("Clé supprimée : %(object)s"),
    "rules.default_created": gettext_lazy("Règles de notification par défaut créées : %(object)s"),
    "rule.created": gettext_lazy("Règle de notification créée : %(object)s"),
    "rule.updated": gettext_lazy("Règle de notification modifiée : %(object)s"),
    "rule.archived": gettext_lazy("Règle de notification supprimée : %(object)s"),
    "billing.issued": gettext_lazy("Facturation détaillée émise : %(object)s"),
    "billing.credited": gettext_lazy("Avoir émis : %(object)s"),
    "price_list.created": gettext_lazy("Tarif créé : %(object)s"),
    "price_list.updated": gettext_lazy("Tarif modifié : %(object)s"),
    "delivery.resent": gettext_lazy("Message renvoyé : %(object)s"),
    "delivery.cancelled": gettext_lazy("Message annulé : %(object)s"),
    "deliveries.resent": gettext_lazy("Messages renvoyés"),
    "deliveries.cancelled": gettext_lazy("Messages annulés"),
    "delivery.requeued": gettext_lazy("Message remis en attente : %(object)s"),
    "sending.paused": gettext_lazy("Envoi mis en pause : %(object)s"),
    "sending.limited": gettext_lazy("Limite d'envoi modifiée : %(object)s"),
    "sending.unlimited": gettext_lazy("Limite d'envoi retirée : %(object)s"),
    "relay.saved": gettext_lazy("Serveur d'envoi enregistré : %(object)s"),
    "relay.removed": gettext_lazy("Serveur d'envoi retiré : %(object)s"),
    "sending.resumed": gettext_lazy("Envoi repris : %(object)s"),
    "sending.requeued": gettext_lazy("Messages remis en attente : %(object)s"),
    "sending.cancelled": gettext_lazy("Messages annulés : %(object)s"),
    "newsletter.created": gettext_lazy("Lettre d'information rédigée : %(object)s"),
    "newsletter.updated": gettext_lazy("Lettre d'information modifiée : %(object)s"),
    "newsletter.tried": gettext_lazy("Lettre d'information essayée : %(object)s"),
    "mail.sampled": gettext_lazy("Exemple d'e-mail envoyé à soi-même : %(object)s"),
    "newsletter.sent": gettext_lazy("Lettre d'information envoyée : %(object)s"),
    "newsletter.paused": gettext_lazy("Envoi de la lettre d'information mis en pause : %(object)s"),
    "newsletter.resumed": gettext_lazy("Envoi de la lettre d'information repris : %(object)s"),
    "newsletter.cancelled": gettext_lazy("Envoi de la lettre d'information arrêté : %(object)s"),
    "incident.opened": gettext_lazy("Incident ouvert : %(object)s"),
    "incident.told": gettext_lazy("Nouvelles d'un incident : %(object)s"),
    "incident.resolved": gettext_lazy("Incident résolu : %(object)s"),
    "incident.corrected": gettext_lazy("Incident corrigé : %(object)s"),
    "payment_order.created": gettext_lazy("Ordre de paiement créé : %(object)s"),
    "payment_order.updated": gettext_lazy("Ordre de paiement modifié : %(object)s"),
    "payment_order.resent": gettext_lazy("Ordre de paiement renvoyé : %(object)s"),
    "payment_order.cancelled": gettext_lazy("Ordre de paiement annulé : %(object)s"),
    "payment_order.reactivated": gettext_lazy("Ordre de paiement réactivé : %(object)s"),
    "payment_order.handed_over": gettext_lazy("Lien d'un ordre de paiement indiqué comme envoyé : %(object)s"),
    "payment_order_template.created": gettext_lazy("Modèle d'ordre de paiement créé : %(object)s"),
    "payment_order_template.updated": gettext_lazy("Modèle d'ordre de paiement modifié : %(object)s"),
    "payment_order_template.deleted": gettext_lazy("Modèle d'ordre de paiement supprimé : %(object)s"),
    "data_form.updated": gettext_lazy("Formulaire de collecte de données modifié : %(object)s"),
    "data_form.copied": gettext_lazy("Formulaire en ligne copié vers l'environnement de test : %(object)s"),
    "data_form.requested": gettext_lazy("Mise en ligne du formulaire demandée : %(object)s"),
    "data_form.published": gettext_lazy("Formulaire mis en ligne : %(object)s"),
    "data_form.confirmed": gettext_lazy("Mise en ligne du formulaire confirmée par l'équipe : %(object)s"),
    "data_form.refused": gettext_lazy("Mise en ligne du formulaire refusée par l'équipe : %(object)s"),
    "data_form.request_cancelled": gettext_lazy("Demande de mise en ligne du formulaire annulée : %(object)s"),
    "data_form.withdrawn": gettext_lazy("Formulaire retiré : %(object)s"),
    "data_form.answer_erased": gettext_lazy("Données d'une réponse effacées : %(object)s"),
    "call.replayed": gettext_lazy("URL de notification exécutée : %(object)s"),
    "rule.tested": gettext_lazy("Règle de notification essayée : %(object)s"),
    "calls.replayed": gettext_lazy("Appels rejoués"),
    "calls.replay_stopped": gettext_lazy("Rejeu d'appels arrêté"),
    "gap.acknowledged": gettext_lazy("Manque accepté : %(object)s"),
    "gap.confirmed": gettext_lazy("Manque confirmé en enregistrant : %(object)s"),
    "gap.reopened": gettext_lazy("Manque à nouveau compté : %(object)s"),
    "remark.closed": gettext_lazy("Remarque d'un destinataire traitée : %(object)s"),
    "api_token.created": gettext_lazy("Jeton d'API créé : %(object)s"),
    "api_token.replaced": gettext_lazy("Jeton d'API remplacé : %(object)s"),
    "api_token.revoked": gettext_lazy("Jeton d'API révoqué : %(object)s"),
}


def object_label(object_type: str, label: str) -> str:
    """The designation of an object in the reader's language: kinds are stored as codes."""
    if object_type == "contact":
        kind, _sep, rest = label.partition(" : ")
        return f"{Contact.Kind(kind).label} : {rest}" if kind in Contact.Kind.values else label
    if object_type in ("acknowledgedgap", "mailremark"):
        code, sep, rest = label.partition(", ")
        return f"{BY_CODE[code].label}{sep}{rest}" if code in BY_CODE else label
    if object_type == "shopkey":
        from shops.models import ShopKey

        kind, _sep, rest = label.partition(", ")
        return f"{ShopKey.Kind(kind).label}, {rest}" if kind in ShopKey.Kind.values else label
    return label


def action_label(action: str) -> str:
    """What happened without the object it happened to, for lists; an unknown action shows its code."""
    return (
        (str(ACTIONS[action]) if action in ACTIONS else action).replace("%(object)s", "").strip(" :\N{NO-BREAK SPACE}")
    )


def entry_sentence(entry: AuditEntry) -> str:
    """One entry of the history as a sentence; an unknown action shows its code."""
    label = object_label(entry.object_type, entry.object_label)
    if entry.action not in ACTIONS:
        return _("%(action)s : %(object)s") % {"action": entry.action, "object": label}
    return str(ACTIONS[entry.action]) % {"object": label}
