"""What the page behind the link of a mail says of it, without any address but its reader's own."""

import re

from django.utils.encoding import force_str
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.text import addresses
from companies.rights import permissions
from notifications.answers.rights import needed_permission, roles_with
from notifications.core import wording
from notifications.core.catalogue import BY_CODE, Scope, Source
from notifications.models import Delivery

_ADDRESS = re.compile(r"[^\s@«»<>()]+@[^\s@«»<>()]+")
_MASK = "•••"

_PLACES: dict[str, Promise] = {
    permissions.MANAGE_RULES: gettext_lazy("Paramétrage > Règles de notifications"),
    permissions.EDIT_SETTINGS: gettext_lazy("Paramétrage > Boutique > Configuration, champ E-mail gestionnaire"),
    permissions.MANAGE_USERS: gettext_lazy("Paramétrage > Société > Utilisateurs"),
    permissions.MANAGE_COMPANY: gettext_lazy("Paramétrage > Société > Infos Société"),
}
_SFTP_PLACE = gettext_lazy("Paramétrage > Société > Comptes SFTP")

_TO_BUYERS = gettext_lazy("La boutique %(shop)s envoie ce message à ses acheteurs : adressez-vous à elle.")
_OF_AN_ORDER = gettext_lazy("La boutique %(shop)s a choisi votre adresse pour cet ordre : adressez-vous à elle.")


class MailWords:
    """The sentences of one mail's page."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.source = delivery.resolution.get("source", "")

    @property
    def label(self) -> str:
        return wording.notification_label(self.delivery.notification)

    @property
    def when(self) -> str:
        return force_str(BY_CODE[self.delivery.notification].when)

    @property
    def company(self) -> str:
        return self.delivery.company.name if self.delivery.company_id else ""

    @property
    def shop(self) -> str:
        return self.delivery.shop.name if self.delivery.shop else ""

    @property
    def because(self) -> str:
        """By which setting it came."""
        resolution = self.delivery.resolution
        return self._own(wording.mail_reason(resolution.get("reason", ""), resolution.get("params", {})))

    def _own(self, sentence: str) -> str:
        """The sentence with every e-mail address in labels and logins hidden, except the reader's own."""
        own = self.delivery.normalised_address
        return _ADDRESS.sub(
            lambda match: match[0] if addresses.normalise(match[0].rstrip(".,;:")) == own else _MASK, sentence
        )

    @property
    def who(self) -> str:
        """Who can change it, by role."""
        row = BY_CODE[self.delivery.notification]
        if row.to in (Source.BUYER, Source.ORDER):
            told = _TO_BUYERS if row.scope is Scope.RULE else _OF_AN_ORDER
            return force_str(told) % {"shop": self.shop}
        if not self.delivery.company_id or row.to is Source.TYPED:
            return _("Ce message est parti une fois, à la demande de quelqu'un ; aucun réglage ne le renvoie.")
        if row.conditional:
            return _("Qui crée un ordre de paiement choisit chaque fois si une copie vous est envoyée.")
        permission = needed_permission(row.code, self.source)
        place = _SFTP_PLACE if self.source == Source.SFTP_ACCOUNT else _PLACES[permission]
        return _("Un utilisateur de %(company)s qui a le rôle %(roles)s peut le changer, dans %(place)s.") % {
            "company": self.company,
            "roles": roles_with(permission),
            "place": force_str(place),
        }
