"""Mails about payment orders: to the buyer, the copies, and a buyer's problem."""

from datetime import date
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from backoffice.text import addresses, times
from notifications.mail.composers.base import (
    Content,
    Context,
    Link,
    Paragraph,
    amount_text,
    composer,
    one_line,
    page_url,
    shop_facts,
)


def _order_facts(context: Context) -> list[tuple[str, str]]:
    data = context.data
    return [
        (_("Référence"), str(data["order_id"])),
        (_("Montant"), amount_text(data["amount"], data["currency"])),
        (_("Valable jusqu'au"), times.day(date.fromisoformat(data["valid_until"]))),
    ]


def _message(context: Context, link: Link) -> list[Paragraph]:
    """What the shop wrote, paragraph by paragraph, with the link under the sentence that announces it."""
    written: list[Paragraph] = [tuple(lines) for lines in context.data["paragraphs"]]
    # Orders sent before the place was noted have it at the end.
    place = context.data.get("link_after", len(written))
    return [*written[:place], link, *written[place:]]


def _thread(data: dict[str, Any]) -> str:
    """Orders, their copies and the problems that buyers report are one conversation."""
    return f"order-{data['order']}"


def _is_test(context: Context) -> bool:
    return context.event.mode == "TEST"


@composer("payment_order")
def _payment_order(context: Context) -> Content:
    """To the buyer: an answer goes to the shop manager, whose address is printed as well."""
    data, shop = context.data, context.event.shop
    assert shop
    values = {"amount": amount_text(data["amount"], data["currency"])}
    return Content(
        subject=data["subject"],
        # A title and no sentence: the shop's own message says who asks for what.
        headline=(
            _("Ordre de paiement d'essai : %(amount)s") if _is_test(context) else _("Ordre de paiement : %(amount)s")
        )
        % values,
        facts=[
            *_order_facts(context),
            (_("Boutique"), shop.name),
            *([(_("Site de la boutique"), shop.url)] if shop.url else []),
            *([(_("Contact en cas de problème"), addresses.for_display(data["contact"]))] if data["contact"] else []),
        ],
        lead=_message(
            context, Link(_("Voir l'ordre d'essai") if _is_test(context) else _("Voir et payer"), data["url"])
        ),
        reply_to=data["contact"],
        thread=_thread(data),
        # The buyer knows the shop, not the platform.
        sender=shop.name,
    )


@composer("payment_order_copy")
def _payment_order_copy(context: Context) -> Content:
    content = _copy(context, quiet=True)
    content.action = (_("Voir l'ordre de paiement"), page_url("payment_order", context.data["order"]))
    return content


@composer("payment_order_extra_copy")
def _payment_order_extra_copy(context: Context) -> Content:
    content = _copy(context)
    content.reply_to = context.data["contact"]
    return content


def _copy(context: Context, *, quiet: bool = False) -> Content:
    """A copy of what the buyer got.

    Args:
        quiet: the buyer's link is no button, since the mail has another one.
    """
    data = context.data
    return Content(
        subject=_("Copie : %(subject)s (%(reference)s)") % {"subject": data["subject"], "reference": data["order_id"]},
        headline=_("Copie de l'ordre de paiement %(reference)s, envoyé à %(recipient)s.")
        % {"reference": data["order_id"], "recipient": data["recipient"]},
        facts=[*shop_facts(context.event), (_("E-mail de l'acheteur"), data["recipient"]), *_order_facts(context)],
        thread=_thread(data),
        paragraphs=[
            _("Le message reçu par l'acheteur :"),
            *_message(context, Link(_("Copie du lien envoyé à l'acheteur"), data["url"], quiet=quiet)),
        ],
    )


@composer("payment_order_problem")
def _payment_order_problem(context: Context) -> Content:
    """To the shop manager; an answer goes to the buyer. What the buyer typed stays text."""
    data = context.data
    recipient = [(_("Ordre envoyé à"), data["recipient"])] if data["recipient"] else []
    return Content(
        subject=_("Problème signalé sur l'ordre de paiement %(reference)s : %(shop)s")
        % {"reference": data["order_id"], "shop": context.shop_name},
        headline=_("Un acheteur signale un problème sur l'ordre de paiement %(reference)s, boutique %(shop)s.")
        % {"reference": data["order_id"], "shop": context.shop_name},
        facts=[
            *shop_facts(context.event),
            *_order_facts(context),
            *recipient,
            (pgettext("of a thing", "Nom"), one_line(data["buyer_name"])),
            (_("E-mail de l'acheteur"), data["buyer_email"]),
            (_("Numéro du signalement"), data["problem"]),
        ],
        paragraphs=[
            _("Son message :"),
            tuple(one_line(line) for line in data["message"].splitlines() if line.strip()),
            _("Répondez à cet e-mail pour écrire à l'acheteur."),
        ],
        action=(_("Voir l'ordre de paiement"), page_url("payment_order", data["order"])),
        reply_to=data["buyer_email"],
        thread=_thread(data),
    )
