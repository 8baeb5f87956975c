"""The rules that every new shop is given (docs/rules.md 4b)."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications.core.catalogue.kinds import RuleType


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
    DefaultRule("mail-silence", _MERCHANT, _("E-mail d'alerte en l'absence de paiement"), ("payment.silence",)),
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
