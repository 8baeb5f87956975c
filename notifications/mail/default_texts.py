"""The texts of rule mails that the merchant has not changed.

One text per rule type, trigger and language, in the form in which merchants personalise them, so
that what a rule page shows as default is what is sent. Both languages stand side by side here and
not in the catalogue of translations: the percent signs of placeholders are no formats of Python,
and the page needs a language other than the reader's.
"""

from dataclasses import dataclass

from notifications.core.catalogue import RuleType


@dataclass(frozen=True)
class Text:
    """Subject and body of a mail, with placeholders of `templating.FIELDS`."""

    subject: str
    body: str


def default_text(rule_type: str, trigger: str, language: str, mode: str = "PRODUCTION") -> Text:
    """The default text of a trigger; triggers without one of their own have a general text.

    The texts of TEST events name the event and promise nothing: nobody pays, is charged or refunded then.
    """
    texts = TEXTS[rule_type]
    if mode == "TEST" and (rule_type, trigger) not in WITHOUT_MONEY:
        return TEST_TEXTS[rule_type][1 if language == "en" else 0]
    return texts.get(trigger, texts[""])[1 if language == "en" else 0]


def _merchant(
    subject_fr: str, happened_fr: str, then_fr: str, subject_en: str, happened_en: str, then_en: str, block: str = ""
) -> tuple[Text, Text]:
    """What happened, the fields, what to do; shop and reference in the subject."""
    return (
        Text(f"{subject_fr} : %shop_name% - %reference%", _body(happened_fr, block, then_fr)),
        Text(f"{subject_en}: %shop_name% - %reference%", _body(happened_en, block, then_en)),
    )


def _buyer(
    subject_fr: str, happened_fr: str, then_fr: str, subject_en: str, happened_en: str, then_en: str
) -> tuple[Text, Text]:
    """What happened, the fields, what follows, and whom to ask: the shop."""
    return (
        Text(f"{subject_fr} - %shop_name% - %amount%", _body(happened_fr, "", then_fr, *_SHOP_FR)),
        Text(f"{subject_en} - %shop_name% - %amount%", _body(happened_en, "", then_en, *_SHOP_EN)),
    )


def _body(happened: str, block: str, *then: str) -> str:
    return "\n\n".join(part for part in (happened, block, "%fields%", *then) if part)


_SHOP_FR = ("Une question ? Écrivez à la boutique : %shop_contact%.", "%shop_name%\n%shop_url%")
_SHOP_EN = ("Any question? Write to the shop: %shop_contact%.", "%shop_name%\n%shop_url%")

_MERCHANT_TEXTS: dict[str, tuple[Text, Text]] = {
    "": _merchant(
        "%event%",
        "%event%, boutique %shop_name%, mode %mode%.",
        "",
        "%event%",
        "%event%, shop %shop_name%, %mode% mode.",
        "",
    ),
    "payment.accepted": _merchant(
        "Paiement accepté",
        "Un paiement vient d'être accepté dans votre boutique %shop_name%, mode %mode%.",
        "Vous pouvez préparer la commande. L'argent est remis selon le calendrier de votre contrat.",
        "Payment accepted",
        "A payment has just been accepted in your shop %shop_name%, %mode% mode.",
        "You can prepare the order. The money is captured on the schedule of your contract.",
    ),
    "payment.refused": _merchant(
        "Paiement refusé",
        "Un paiement vient d'être refusé dans votre boutique %shop_name%, mode %mode%.",
        "N'expédiez pas la commande. L'acheteur peut essayer de nouveau, ou avec un autre moyen de paiement.",
        "Payment refused",
        "A payment has just been refused in your shop %shop_name%, %mode% mode.",
        "Do not ship the order. The buyer can try again, or with another payment method.",
    ),
    "payment.abandoned": _merchant(
        "Paiement abandonné",
        "Un acheteur a quitté la page de paiement de votre boutique %shop_name% sans payer, mode %mode%.",
        "Rien n'a été débité. Si la commande compte pour vous, vous pouvez recontacter l'acheteur.",
        "Payment abandoned",
        "A buyer left the payment page of your shop %shop_name% without paying, %mode% mode.",
        "Nothing was charged. If the order matters to you, you can get back to the buyer.",
    ),
    "payment.pending_external": _merchant(
        "Paiement en attente",
        "Un paiement de votre boutique %shop_name% attend la confirmation d'une plateforme externe, mode %mode%.",
        "Attendez cette confirmation avant d'expédier : le paiement peut encore être refusé.",
        "Payment pending",
        "A payment of your shop %shop_name% is waiting for an external platform to confirm it, %mode% mode.",
        "Wait for that confirmation before you ship: the payment may still be refused.",
    ),
    "transaction.refunded": _merchant(
        "Transaction remboursée",
        "Une transaction de votre boutique %shop_name% vient d'être remboursée, mode %mode%.",
        "Si ce remboursement vous surprend, vérifiez qui l'a fait dans l'historique de la transaction.",
        "Transaction refunded",
        "A transaction of your shop %shop_name% has just been refunded, %mode% mode.",
        "If this refund surprises you, check who made it in the history of the transaction.",
    ),
    "transaction.cancelled": _merchant(
        "Transaction annulée",
        "Une transaction de votre boutique %shop_name% vient d'être annulée, mode %mode%.",
        "Elle ne sera pas remise en banque : l'acheteur n'est pas débité.",
        "Transaction cancelled",
        "A transaction of your shop %shop_name% has just been cancelled, %mode% mode.",
        "It will not be captured: the buyer is not charged.",
    ),
    "transaction.declined_by_batch": _merchant(
        "Transaction refusée lors de l'autorisation automatique",
        "La banque a refusé un paiement différé ou une échéance de votre boutique %shop_name%, mode %mode%.",
        "L'acheteur avait déjà validé sa commande : prenez contact avec lui pour convenir d'un autre paiement.",
        "Transaction declined during automatic authorisation",
        "The bank declined a deferred payment or an instalment of your shop %shop_name%, %mode% mode.",
        "The buyer had already confirmed the order: get in touch to agree on another payment.",
    ),
    "transaction.authorised_by_batch": _merchant(
        "Paiement différé autorisé",
        "La banque a autorisé un paiement différé de votre boutique %shop_name%, mode %mode%.",
        "La transaction sera remise à la date prévue ; rien n'est à faire.",
        "Deferred payment authorised",
        "The bank authorised a deferred payment of your shop %shop_name%, %mode% mode.",
        "The transaction will be captured on the date planned; there is nothing to do.",
    ),
    "transaction.modified": _merchant(
        "Transaction modifiée",
        "Une transaction de votre boutique %shop_name% vient d'être modifiée, mode %mode%.",
        "Le montant ou la date de remise a pu changer : comparez avec votre commande.",
        "Transaction modified",
        "A transaction of your shop %shop_name% has just been modified, %mode% mode.",
        "The amount or the capture date may have changed: compare with your order.",
    ),
    "transaction.validated": _merchant(
        "Transaction validée",
        "Une transaction de votre boutique %shop_name% vient d'être validée, mode %mode%.",
        "Elle sera remise à la prochaine échéance ; rien n'est à faire.",
        "Transaction validated",
        "A transaction of your shop %shop_name% has just been validated, %mode% mode.",
        "It will be captured at the next opportunity; there is nothing to do.",
    ),
    "subscription.instalment_created": _merchant(
        "Nouvelle échéance d'abonnement",
        "Une nouvelle échéance d'abonnement vient d'être créée dans votre boutique %shop_name%, mode %mode%.",
        "Son résultat suit par les notifications de paiement de la boutique.",
        "New instalment of a recurring payment",
        "A new instalment of a recurring payment has just been created in your shop %shop_name%, %mode% mode.",
        "Its result follows through the payment notifications of the shop.",
    ),
    "transaction.duplicated": _merchant(
        "Transaction dupliquée",
        "Une transaction de votre boutique %shop_name% vient d'être dupliquée, mode %mode%.",
        "L'acheteur paie une nouvelle fois avec le même moyen de paiement : vérifiez que c'est voulu.",
        "Transaction duplicated",
        "A transaction of your shop %shop_name% has just been duplicated, %mode% mode.",
        "The buyer pays once more with the same payment method: check that this is intended.",
    ),
    "token.updated": _merchant(
        "Alias mis à jour",
        "Un alias de moyen de paiement vient d'être mis à jour dans votre boutique %shop_name%, mode %mode%.",
        "Les prochains paiements de cet acheteur emploient le nouveau moyen de paiement.",
        "Token updated",
        "A payment method token has just been updated in your shop %shop_name%, %mode% mode.",
        "The next payments of this buyer use the new payment method.",
    ),
    "token.created": _merchant(
        "Alias créé",
        "Un alias de moyen de paiement vient d'être créé dans votre boutique %shop_name%, mode %mode%.",
        "Il permet de débiter de nouveau l'acheteur sans lui redemander sa carte.",
        "Token created",
        "A payment method token has just been created in your shop %shop_name%, %mode% mode.",
        "It lets you charge the buyer again without asking for the card.",
    ),
    "subscription.created": _merchant(
        "Abonnement créé",
        "Un abonnement vient d'être créé dans votre boutique %shop_name%, mode %mode%.",
        "Les échéances sont ensuite prélevées selon son calendrier.",
        "Recurring payment created",
        "A recurring payment has just been created in your shop %shop_name%, %mode% mode.",
        "Its instalments are then charged on its schedule.",
    ),
    "capture.sent": _merchant(
        "Remise envoyée à l'acquéreur",
        "Une remise de votre boutique %shop_name% vient d'être envoyée à l'acquéreur, mode %mode%.",
        "Le montant arrive sur votre compte dans les délais de votre banque.",
        "Capture sent to the acquirer",
        "A capture of your shop %shop_name% has just been sent to the acquirer, %mode% mode.",
        "The amount reaches your account in your bank's usual time.",
    ),
    "form.invalid": _merchant(
        "Formulaire de paiement invalide",
        "Un formulaire de paiement de votre boutique %shop_name% a été rejeté, mode %mode%.",
        "L'acheteur n'a pas pu payer. Transmettez ce message à la personne qui tient votre site marchand.",
        "Invalid payment form",
        "A payment form of your shop %shop_name% was rejected, %mode% mode.",
        "The buyer could not pay. Forward this message to whoever maintains your merchant site.",
        block="%causes%",
    ),
    "production_key.regenerated": _merchant(
        "Clé de production régénérée",
        "La clé de production de votre boutique %shop_name% vient d'être régénérée.",
        "Reportez la nouvelle clé dans votre site marchand : les formulaires signés avec l'ancienne sont rejetés."
        " Si vous n'êtes pas à l'origine de cette opération, contactez le support sans attendre.",
        "Production key regenerated",
        "The production key of your shop %shop_name% has just been regenerated.",
        "Put the new key into your merchant site: forms signed with the former one are rejected."
        " If you did not ask for this, contact support at once.",
    ),
    "payment.silence": _merchant(
        "Aucun paiement depuis trop longtemps",
        "Votre boutique %shop_name% n'accepte plus de paiement depuis plus longtemps que d'habitude.",
        "Vérifiez votre site marchand, par un paiement d'essai par exemple, puis le journal des appels. Un e-mail suivra au"
        " retour des paiements.",
        "No payment for too long",
        "Your shop %shop_name% has accepted no payment for longer than usual.",
        "Check your merchant site, with a test payment for instance, then the journal of calls. A mail follows when"
        " payments are back.",
    ),
}

_BUYER_TEXTS: dict[str, tuple[Text, Text]] = {
    "": _buyer(
        "%event%",
        "Nous vous écrivons au sujet de votre achat chez %shop_name% : %event%.",
        "",
        "%event%",
        "We are writing about your purchase from %shop_name%: %event%.",
        "",
    ),
    "payment.accepted": _buyer(
        "Votre paiement est accepté",
        "Merci pour votre achat chez %shop_name% : votre paiement est accepté.",
        "Gardez ce message : il vous sert de preuve de paiement.",
        "Your payment is accepted",
        "Thank you for your purchase from %shop_name%: your payment is accepted.",
        "Keep this message: it is your proof of payment.",
    ),
    "payment.refused": _buyer(
        "Votre paiement n'a pas abouti",
        "Votre paiement à %shop_name% n'a pas été accepté par votre banque.",
        "Rien n'a été débité. Vous pouvez recommencer, ou choisir un autre moyen de paiement.",
        "Your payment did not go through",
        "Your bank did not accept your payment to %shop_name%.",
        "Nothing was charged. You can try again, or choose another payment method.",
    ),
    "payment.abandoned": _buyer(
        "Votre paiement n'est pas terminé",
        "Votre paiement à %shop_name% n'est pas allé à son terme.",
        "Rien n'a été débité. Pour reprendre votre commande, retournez sur le site de la boutique.",
        "Your payment is not finished",
        "Your payment to %shop_name% was not completed.",
        "Nothing was charged. To go on with your order, return to the site of the shop.",
    ),
    "payment.pending_external": _buyer(
        "Votre paiement est en attente de confirmation",
        "Votre paiement à %shop_name% attend encore une confirmation.",
        "Nous vous tiendrons informé ; il n'est pas nécessaire de payer une seconde fois.",
        "Your payment is awaiting confirmation",
        "Your payment to %shop_name% is still waiting to be confirmed.",
        "We will keep you informed; there is no need to pay a second time.",
    ),
    "transaction.refunded": _buyer(
        "Vous êtes remboursé",
        "%shop_name% vient de rembourser votre achat.",
        "La somme revient sur le moyen de paiement employé, en quelques jours selon votre banque.",
        "You have been refunded",
        "%shop_name% has just refunded your purchase.",
        "The money returns to the payment method you used, within a few days depending on your bank.",
    ),
    "transaction.cancelled": _buyer(
        "Votre paiement est annulé",
        "Votre paiement à %shop_name% est annulé.",
        "Vous n'êtes pas débité.",
        "Your payment is cancelled",
        "Your payment to %shop_name% is cancelled.",
        "You are not charged.",
    ),
    "transaction.declined_by_batch": _buyer(
        "Votre banque a refusé un paiement",
        "Votre banque a refusé un paiement prévu pour votre commande chez %shop_name%.",
        "Prenez contact avec la boutique pour convenir d'un autre moyen de paiement.",
        "Your bank declined a payment",
        "Your bank declined a payment planned for your order from %shop_name%.",
        "Get in touch with the shop to agree on another way to pay.",
    ),
    "transaction.authorised_by_batch": _buyer(
        "Votre paiement est autorisé",
        "Le paiement prévu pour votre commande chez %shop_name% est autorisé par votre banque.",
        "Vous serez débité à la date prévue ; rien n'est à faire.",
        "Your payment is authorised",
        "Your bank authorised the payment planned for your order from %shop_name%.",
        "You will be charged on the date planned; there is nothing to do.",
    ),
    "transaction.modified": _buyer(
        "Votre paiement a été modifié",
        "Le paiement de votre achat chez %shop_name% a été modifié.",
        "Vérifiez ci-dessus le montant ; écrivez à la boutique s'il vous surprend.",
        "Your payment has been changed",
        "The payment of your purchase from %shop_name% has been changed.",
        "Check the amount above; write to the shop if it surprises you.",
    ),
    "transaction.validated": _buyer(
        "Votre paiement est validé",
        "%shop_name% a validé votre paiement.",
        "Vous serez débité prochainement ; rien n'est à faire.",
        "Your payment is confirmed",
        "%shop_name% has confirmed your payment.",
        "You will be charged soon; there is nothing to do.",
    ),
    "subscription.instalment_created": _buyer(
        "Nouvelle échéance de votre abonnement",
        "Une nouvelle échéance de votre abonnement chez %shop_name% est prévue.",
        "Elle sera débitée sur le moyen de paiement enregistré.",
        "New instalment of your subscription",
        "A new instalment of your subscription with %shop_name% is planned.",
        "It will be charged to the payment method on file.",
    ),
    "transaction.duplicated": _buyer(
        "Nouveau paiement",
        "%shop_name% a enregistré un nouveau paiement avec le moyen de paiement de votre achat précédent.",
        "Si vous ne l'attendiez pas, écrivez à la boutique.",
        "New payment",
        "%shop_name% has recorded a new payment with the payment method of your earlier purchase.",
        "If you did not expect it, write to the shop.",
    ),
    "token.updated": _buyer(
        "Votre moyen de paiement est mis à jour",
        "Votre moyen de paiement enregistré chez %shop_name% est à jour.",
        "Il servira à vos prochains achats. Si ce changement ne vient pas de vous, écrivez à la boutique.",
        "Your payment method is updated",
        "Your payment method on file with %shop_name% is up to date.",
        "It will be used for your next purchases. If you did not make this change, write to the shop.",
    ),
    "token.created": _buyer(
        "Votre moyen de paiement est enregistré",
        "Votre moyen de paiement est enregistré chez %shop_name%.",
        "Vos prochains achats seront plus rapides. Pour le retirer, écrivez à la boutique.",
        "Your payment method is saved",
        "Your payment method is saved with %shop_name%.",
        "Your next purchases will be quicker. To have it removed, write to the shop.",
    ),
    "subscription.created": _buyer(
        "Votre abonnement est enregistré",
        "Votre abonnement chez %shop_name% est enregistré.",
        "Les échéances seront débitées sur le moyen de paiement choisi. Pour l'arrêter, écrivez à la boutique.",
        "Your subscription is recorded",
        "Your subscription with %shop_name% is recorded.",
        "Its instalments will be charged to the payment method you chose. To stop it, write to the shop.",
    ),
    "capture.sent": _buyer(
        "Prélèvement à venir",
        "%shop_name% va prélever le montant ci-dessous sur votre compte.",
        "Assurez-vous que votre compte est approvisionné. Pour contester, écrivez d'abord à la boutique.",
        "Upcoming direct debit",
        "%shop_name% is about to debit the amount below from your account.",
        "Please make sure that your account holds enough. If you disagree, write to the shop first.",
    ),
    "form.invalid": _buyer(
        "Votre paiement n'a pas pu commencer",
        "Un problème technique a empêché votre paiement à %shop_name%.",
        "Rien n'a été débité. Vous pouvez réessayer un peu plus tard.",
        "Your payment could not start",
        "A technical problem prevented your payment to %shop_name%.",
        "Nothing was charged. You can try again a little later.",
    ),
}

# Mails that are about no payment say the same in both modes.
WITHOUT_MONEY = frozenset(
    (RuleType.MERCHANT_EMAIL, trigger) for trigger in ("form.invalid", "production_key.regenerated", "payment.silence")
)
TEST_TEXTS: dict[str, tuple[Text, Text]] = {
    RuleType.MERCHANT_EMAIL: _merchant(
        "Essai, %event%",
        "Essai de votre boutique %shop_name%, mode %mode% : %event%.",
        "En mode PRODUCTION, ce message dirait ce qui s'est passé et ce qu'il y a à faire.",
        "Test, %event%",
        "Test of your shop %shop_name%, %mode% mode: %event%.",
        "In PRODUCTION mode, this message would say what happened and what there is to do.",
    ),
    RuleType.BUYER_EMAIL: _buyer(
        "Essai, %event%",
        "La boutique %shop_name% fait un essai : %event%.",
        "Vous n'avez rien à faire.",
        "Test, %event%",
        "The shop %shop_name% is running a test: %event%.",
        "There is nothing for you to do.",
    ),
}

TEXTS: dict[str, dict[str, tuple[Text, Text]]] = {
    RuleType.MERCHANT_EMAIL: _MERCHANT_TEXTS,
    RuleType.BUYER_EMAIL: _BUYER_TEXTS,
}
