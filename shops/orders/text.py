"""The message of an order: the documented placeholders, replaced in one pass and by nothing but these values."""

import re
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from notifications.composers.base import amount_text

from .models import PaymentOrder

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
_MARK = re.compile(r"%([a-z_]{1,30})%")


def check_placeholders(text: str) -> None:
    """Refuse what looks like a placeholder and is none, by name."""
    unknown = [name for name in _MARK.findall(text) if name not in PLACEHOLDERS]
    if unknown:
        raise ValidationError(
            _("« %(name)s » n'est pas une variable connue. Les variables sont : %(known)s.")
            % {"name": f"%{unknown[0]}%", "known": ", ".join(f"%{name}%" for name in PLACEHOLDERS)}
        )


def fill(text: str, values: dict[str, str]) -> str:
    """Replace each placeholder once; values are never searched for further ones."""
    return _MARK.sub(lambda found: values.get(found[1], found[0]), text)


def public_url(order: PaymentOrder) -> str:
    return settings.BASE_URL + reverse("payment_order_public", args=[order.token])


def values(order: PaymentOrder, contact: str) -> dict[str, str]:
    """What the placeholders stand for, in the active language and in the company's time zone."""
    with timezone.override(order.shop.company.time_zone):
        start = timezone.localtime(order.created_at).date()
    return {
        "reference": order.reference,
        "amount": amount_text(order.amount, order.currency),
        "start_date": date_format(start, "DATE_FORMAT"),
        "end_date": date_format(order.valid_until, "DATE_FORMAT"),
        "shop_name": order.shop.name,
        "url": public_url(order),
        "shop_contact": contact,
        "shop_url": order.shop.url,
    }


@dataclass(frozen=True)
class Filled:
    """A message as its reader gets it; `paragraphs` without the one that was the link alone."""

    subject: str
    body: str
    paragraphs: list[str]


def filled(order: PaymentOrder, contact: str) -> Filled:
    """The message of an order in the order's language; the link is added at the end if it is missing."""
    with translation.override(order.language):
        known = values(order, contact)
        template = order.body.replace("\r\n", "\n").strip()
        if "%url%" not in template:
            template += "\n\n%url%"
        lines = [line.strip() for line in template.split("\n")]
        return Filled(
            subject=fill(order.subject, known),
            body=fill(template, known),
            # A mail has a button for the link.
            paragraphs=[fill(line, known) for line in lines if line and line != "%url%"],
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
        return _("Votre ordre de paiement"), "\n\n".join(lines)
