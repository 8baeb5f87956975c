"""The message of an order: the documented placeholders, filled in as `notifications/core/templating.py` does."""

from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.text import addresses, times, web_links
from notifications.core import templating
from notifications.mail.composers.base import amount_text
from shops.models import PaymentOrder

PLACEHOLDERS: dict[str, Promise] = {
    "reference": gettext_lazy("Référence de l'ordre"),
    "amount": gettext_lazy("Montant avec sa devise"),
    "start_date": gettext_lazy("Date de création"),
    "end_date": gettext_lazy("Date de fin de validité"),
    "shop_name": gettext_lazy("Nom de la boutique"),
    "url": gettext_lazy("Lien de paiement ; ajouté à la fin s'il manque"),
    "shop_contact": gettext_lazy("E-mail gestionnaire de la boutique, à contacter en cas de problème"),
    "shop_url": gettext_lazy("URL de la boutique"),
}
_LINK = "%url%"


def check_text(text: str) -> None:
    """Refuse an unknown placeholder by name, and characters that hide what is written. ValidationError."""
    unknown = [code for code in templating.codes_in(text) if code not in PLACEHOLDERS]
    if unknown:
        raise ValidationError(
            _("« %(name)s » n'est pas une variable connue. Les variables sont : %(known)s.")
            % {"name": f"%{unknown[0]}%", "known": ", ".join(f"%{name}%" for name in PLACEHOLDERS)}
        )
    try:
        templating.check_characters(templating.normal_body(text))
    except templating.TextError as error:
        raise ValidationError(str(error)) from error


def public_url(order: PaymentOrder) -> str:
    return settings.BASE_URL + reverse("payment_order_public", args=[order.token])


def values(order: PaymentOrder, contact: str) -> dict[str, str]:
    """What the placeholders stand for, in the active language and in the company's time zone."""
    with timezone.override(order.shop.company.time_zone):
        start = timezone.localtime(order.created_at).date()
    return {
        "reference": order.reference,
        "amount": amount_text(order.amount, order.currency),
        "start_date": times.day(start),
        "end_date": times.day(order.valid_until),
        "shop_name": templating.value_text(order.shop.name),
        "url": public_url(order),
        "shop_contact": addresses.for_display(contact),
        "shop_url": web_links.for_display(order.shop.url),
    }


@dataclass(frozen=True)
class Filled:
    """A message as its reader gets it.

    `body` is the whole text; `paragraphs` are its lines by paragraph, without a line that is the link
    alone: a mail has a button for that, after the first `link_after` paragraphs.
    """

    subject: str
    body: str
    paragraphs: list[list[str]]
    link_after: int


# Stands for the link while the message is cut into paragraphs; no message can hold it.
_PLACE = "\N{OBJECT REPLACEMENT CHARACTER}"


def filled(order: PaymentOrder, contact: str) -> Filled:
    """The message of an order in the order's language; the link is added at the end if it is missing."""
    with translation.override(order.language):
        known = values(order, contact)
        template = templating.normal_body(order.body)
        if "url" not in templating.codes_in(template):
            template += f"\n\n{_LINK}"
        marked = "\n".join(
            f"\n{_PLACE}\n" if line.strip() == _LINK else line for line in template.replace(_PLACE, "").split("\n")
        )
        rendered = templating.render_body(marked, known)
        first = [[rendered.headline]] if rendered.headline else []
        written = [*first, *(list(paragraph) for paragraph in rendered.before)]
        paragraphs = [lines for lines in written if lines != [_PLACE]]
        if [_PLACE] in written:
            place = written.index([_PLACE])
        else:
            # Within a sentence: the button comes under it.
            named = (
                number for number, lines in enumerate(paragraphs, 1) if any(known["url"] in line for line in lines)
            )
            place = next(named, len(paragraphs))
        return Filled(
            subject=templating.render_subject(order.subject, known),
            body=web_links.in_text(templating.fill(template, known, missing="")),
            paragraphs=paragraphs,
            link_after=place,
        )


def default_texts(language: str, *, by_email: bool, shop_url: str) -> tuple[str, str]:
    """Subject and body for a shop without a template of its own in that language."""
    with translation.override(language):
        lines = [_("Bonjour,")]
        if by_email:
            lines += [
                _(
                    "%%shop_name%% vous adresse un ordre de paiement de %%amount%%, valable jusqu'au %%end_date%%. "
                    "Ouvrez le lien pour le régler :"
                )
                % {}
            ]
        else:
            lines += [
                _(
                    "%%shop_name%% vous demande un paiement de %%amount%%, à faire avant la fin du %%end_date%%. "
                    "Si le lien ne s'ouvre pas, copiez-le dans votre navigateur :"
                )
                % {}
            ]
        lines.append("%url%")
        lines.append(_("Un problème, ou un message mal affiché ? Écrivez à %%shop_contact%%.") % {})
        if shop_url:
            lines.append(_("Boutique en ligne : %%shop_url%%") % {})
        return _("%%shop_name%% : ordre de paiement de %%amount%%") % {}, "\n\n".join(lines)
