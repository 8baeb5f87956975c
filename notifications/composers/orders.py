"""Mails about payment orders: to the buyer, the copies, and a buyer's problem."""

from datetime import date

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from .base import Content, Context, Paragraph, amount_text, composer, one_line, page_url, shop_facts


def _order_facts(context: Context) -> list[tuple[str, str]]:
    data = context.data
    return [
        (_("Référence"), str(data["order_id"])),
        (_("Montant"), amount_text(data["amount"], data["currency"])),
        (_("Valable jusqu'au"), date_format(date.fromisoformat(data["valid_until"]), "DATE_FORMAT")),
    ]


def _message(context: Context) -> list[Paragraph]:
    """What the shop wrote, paragraph by paragraph."""
    return [tuple(lines) for lines in context.data["paragraphs"]]


@composer("payment_order")
def _payment_order(context: Context) -> Content:
    """To the buyer: an answer goes to the shop manager, whose address is printed as well."""
    data, shop = context.data, context.event.shop
    assert shop
    values = {"shop": shop.name, "amount": amount_text(data["amount"], data["currency"])}
    return Content(
        subject=data["subject"],
        headline=_("%(shop)s vous adresse un ordre de paiement de %(amount)s.") % values,
        facts=[
            *_order_facts(context),
            (_("Boutique"), shop.name),
            *([(_("Site de la boutique"), shop.url)] if shop.url else []),
            *([(_("Contact en cas de problème"), data["contact"])] if data["contact"] else []),
        ],
        lead=_message(context),
        action=(_("Voir et payer"), data["url"]),
        reply_to=data["contact"],
        # The buyer knows the shop, not the platform.
        sender=shop.name,
    )


@composer("payment_order_copy")
def _payment_order_copy(context: Context) -> Content:
    content = _copy(context)
    content.action = (_("Voir l'ordre de paiement"), page_url(f"/payment-orders/{context.data['order']}/"))
    return content


@composer("payment_order_extra_copy")
def _payment_order_extra_copy(context: Context) -> Content:
    content = _copy(context)
    content.reply_to = context.data["contact"]
    return content


def _copy(context: Context) -> Content:
    data = context.data
    return Content(
        subject=_("Copie : %(subject)s (%(reference)s)") % {"subject": data["subject"], "reference": data["order_id"]},
        headline=_("Copie de l'ordre de paiement %(reference)s, envoyé à %(recipient)s.")
        % {"reference": data["order_id"], "recipient": data["recipient"]},
        facts=[*shop_facts(context.event), (_("E-mail de l'acheteur"), data["recipient"]), *_order_facts(context)],
        paragraphs=[_("Le message reçu par l'acheteur :"), *_message(context)],
    )


@composer("payment_order_problem")
def _payment_order_problem(context: Context) -> Content:
    """To the shop manager; an answer goes to the buyer. What the buyer typed stays text."""
    data = context.data
    recipient = [(_("Ordre envoyé à"), data["recipient"])] if data["recipient"] else []
    return Content(
        subject=_("Problème signalé sur l'ordre de paiement %(reference)s") % {"reference": data["order_id"]},
        headline=_("Un acheteur signale un problème sur l'ordre de paiement %(reference)s, boutique %(shop)s.")
        % {"reference": data["order_id"], "shop": context.shop_name},
        facts=[
            *shop_facts(context.event),
            *_order_facts(context),
            *recipient,
            (_("Nom"), one_line(data["buyer_name"])),
            (_("E-mail de l'acheteur"), data["buyer_email"]),
            (_("Numéro du signalement"), data["problem"]),
        ],
        paragraphs=[
            _("Son message :"),
            tuple(one_line(line) for line in data["message"].splitlines() if line.strip()),
            _("Répondez à cet e-mail pour écrire à l'acheteur."),
        ],
        action=(_("Voir l'ordre de paiement"), page_url(f"/payment-orders/{data['order']}/")),
        reply_to=data["buyer_email"],
    )
