"""Mails of notification rules."""

from django.utils.translation import gettext as _

from .. import wording
from .base import Content, Context, composer, page_url, payment_facts, shop_facts


@composer("merchant_email")
def _merchant_email(context: Context) -> Content:
    event, rule = context.event, context.rule
    assert rule and event.shop
    label = wording.trigger_label(event.type)
    reference = context.data.get("transaction_id") or context.data.get("order_id") or ""
    about = f"{event.shop.name} - {reference}" if reference else event.shop.name
    return Content(
        subject=_("%(event)s : %(about)s") % {"event": label, "about": about},
        headline=_("%(event)s, boutique %(shop)s.") % {"event": label, "shop": event.shop.name},
        facts=[*shop_facts(event), *payment_facts(event), (_("Règle de notification"), rule.display_label)],
        paragraphs=[],
        action=(
            _("Voir la règle de notification"),
            page_url(f"/settings/notification-rules/?shop={event.shop.site_id}&rule={rule.reference}"),
        ),
    )


@composer("buyer_email")
def _buyer_email(context: Context) -> Content:
    event = context.event
    assert event.shop
    label = wording.trigger_label(event.type)
    contact = event.shop.manager_email or getattr(event.company.manager_contact, "email", "")
    return Content(
        subject=_("%(event)s : %(about)s") % {"event": label, "about": event.shop.name},
        headline=_("%(event)s, boutique %(shop)s.") % {"event": label, "shop": event.shop.name},
        facts=payment_facts(event),
        paragraphs=[
            _("Pour toute question sur cet achat, écrivez à la boutique : %(contact)s.") % {"contact": contact},
            *([_("Site de la boutique : %(url)s") % {"url": event.shop.url}] if event.shop.url else []),
        ],
        reply_to=contact,
    )
