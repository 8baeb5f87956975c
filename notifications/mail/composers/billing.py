"""The mail of a shop's detailed billing; the document itself is attached."""

from datetime import date
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from backoffice.text import times
from backoffice.text.currencies import exponent
from notifications.mail.composers.base import Content, Context, composer, page_url


@composer("detailed_billing")
def _detailed_billing(context: Context) -> Content:
    data, event = context.data, context.event
    shop = event.shop
    assert shop
    values = {"number": data["number"], "shop": shop.name}
    credit = data["kind"] == "credit_note"
    start, end = (times.day(date.fromisoformat(data[name])) for name in ("period_start", "period_end"))
    return Content(
        subject=(_("Avoir %(number)s : %(shop)s") if credit else _("Facturation détaillée %(number)s : %(shop)s"))
        % values,
        headline=(
            _("Un avoir annule une facture de la boutique %(shop)s.")
            if credit
            else _("La facturation détaillée de la boutique %(shop)s est disponible.")
        )
        % values,
        facts=[
            (_("Société"), event.company.name),
            (_("Boutique"), f"{shop.name} ({shop.site_id})"),
            (_("Document"), data["number"]),
            *([(_("Annule"), data["credits"])] if data.get("credits") else []),
            (_("Période"), _("du %(start)s au %(end)s") % {"start": start, "end": end}),
            (_("Total hors taxes"), _money(data["net"], data["currency"])),
            (_("TVA"), _money(data["tax"], data["currency"])),
            (_("Total TTC"), _money(data["gross"], data["currency"])),
        ],
        paragraphs=[_("Le document est joint à ce message et reste disponible dans votre back office.")],
        action=(_("Voir le document"), page_url("billing_document", data["document"])),
    )


def _money(value: str, currency: str) -> str:
    shown = number_format(Decimal(value), decimal_pos=exponent(currency), use_l10n=True, force_grouping=True)
    return f"{shown} {currency}"
