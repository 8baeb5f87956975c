"""The mail that tells of all events of a rule since the last one (docs/rules.md 5.5)."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.text import times
from notifications.core import templating, wording
from notifications.mail.composers.base import Content, Context, Paragraph, amount_text, one_line, page_url, shop_facts


def digest(context: Context) -> Content:
    """The content of a digest; the event of the mail has the events it tells of."""
    event, rule, data = context.event, context.rule, context.data
    assert event.shop and rule
    count, told = int(data["count"]), data["events"]
    since, until = (times.short_moment(datetime.fromisoformat(data[name])) for name in ("since", "until"))
    values = {"shop": event.shop.name, "rule": rule.display_label, "n": count, "since": since, "until": until}
    subject = ngettext(
        "%(shop)s / Récapitulatif : %(n)d événement, %(rule)s",
        "%(shop)s / Récapitulatif : %(n)d événements, %(rule)s",
        count,
    )
    headline = ngettext(
        "%(n)d événement de la boutique %(shop)s depuis le dernier récapitulatif.",
        "%(n)d événements de la boutique %(shop)s depuis le dernier récapitulatif.",
        count,
    )
    paragraphs: list[Paragraph] = []
    if rest := count - len(told):
        more = ngettext(
            "Et %(n)d autre événement, que le journal montre avec ceux-ci.",
            "Et %(n)d autres événements, que le journal montre avec ceux-ci.",
            rest,
        )
        paragraphs.append(more % {"n": rest})
    return Content(
        subject=one_line(subject % values),
        headline=headline % values,
        facts=[
            *shop_facts(event),
            (_("Règle de notification"), rule.display_label),
            *([] if since == until else [(_("Période"), _("du %(since)s au %(until)s") % values)]),
            *[(times.short_moment(datetime.fromisoformat(one["at"])), _line(one)) for one in told],
        ],
        paragraphs=paragraphs,
        preview=one_line(" – ".join(_line(one) for one in told[:3])),
        action=(
            _("Voir ces événements dans le journal"),
            page_url("journal", digest=event.event_id),
        ),
    )


def _line(one: dict[str, Any]) -> str:
    """An event in one line: what it is, of which order and transaction, for how much."""
    parts = [wording.trigger_label(one["type"])]
    for name, label in (("order_id", _("commande %(id)s")), ("transaction_id", _("transaction %(id)s"))):
        if text := templating.value_text(one.get(name)):
            parts.append(one_line(label % {"id": text[:100]}))
    amount = one.get("amount")
    if isinstance(amount, int) and not isinstance(amount, bool):
        parts.append(amount_text(amount, templating.value_text(one.get("currency"))))
    # Spaces in an amount do not break.
    return " · ".join(parts)
