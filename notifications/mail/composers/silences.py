"""What a mail about missing payments adds to the text of its rule: the figures, or that they are back."""

from datetime import datetime
from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _

from notifications.mail.composers.base import Content, Context, when_text


def complete(content: Content, context: Context, *, has_own_text: bool) -> Content:
    """Add the figures of a silence to the mail of its rule.

    Args:
        has_own_text: the merchant's text stays as it is written, with the figures after it.
    """
    data = context.data
    # The silence and its end.
    content.thread = f"silence-{context.event.shop.site_id if context.event.shop else ''}-{data.get('since')}"
    values: dict[str, Any] = {"shop": context.shop_name, "since": _when(data, "since")}
    if "back" in data:
        values["back"] = _when(data, "back")
        if not has_own_text:
            content.subject = _("Les paiements sont de retour : %(shop)s") % values
            content.headline = _("La boutique %(shop)s accepte de nouveau des paiements.") % values
            content.lead, content.paragraphs = [], []
            content.facts = [
                *content.facts,
                (_("De retour depuis le"), values["back"]),
                (_("Paiement précédent"), values["since"]),
            ]
            return content
        sentence = (
            _(
                "La boutique %(shop)s accepte de nouveau des paiements depuis le %(back)s ; le précédent datait du %(since)s."
            )
            % values
        )
    else:
        values |= {
            "until": _when(data, "until"),
            "expected": formats.number_format(data.get("expected") or 0, 1),
            "chance": formats.number_format(data.get("chance") or 0, 2),
            "weeks": data.get("weeks") or 8,
        }
        sentence = (
            _(
                "Du %(since)s au %(until)s, aucun paiement n'a été accepté en mode PRODUCTION. D'après les %(weeks)d dernières "
                "semaines de cette boutique, aux mêmes jours et heures, %(expected)s paiements étaient attendus : la "
                "probabilité de n'en voir aucun était de %(chance)s %%."
            )
            % values
        )
    content.lead = [*content.lead, sentence]
    return content


def _when(data: dict[str, Any], name: str) -> str:
    try:
        return when_text(datetime.fromisoformat(str(data.get(name))))
    except ValueError:
        return "–"
