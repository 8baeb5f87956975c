"""What people come to the home page for: questions with the page that answers, tasks with the page where they are done.

Each is one click away, also on a phone, where the menu takes one of its own.
"""

from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from companies.models import Membership
from companies.rights import access, permissions
from notifications.core import wording
from notifications.timeline.moments import local_text

# How long ago the question about the past is asked.
AGO = timedelta(days=30)
# The rights of which one is enough to change an address somewhere.
_REPLACES = (
    permissions.MANAGE_COMPANY,
    permissions.MANAGE_USERS,
    permissions.EDIT_SETTINGS,
    permissions.MANAGE_RULES,
)
Link = tuple[str, str]


def questions(membership: Membership) -> list[Link]:
    """(question, page) of what anybody asks."""
    asked = [
        (_("Qui reçoit quoi ?"), reverse("addresses")),
        (_("Pourquoi une adresse ne reçoit-elle pas un message ?"), reverse("why")),
        (_("Quelles notifications n'atteignent personne ?"), f"{reverse('coverage')}#gaps"),
        (
            _("Qui est prévenu si une URL de notification échoue ?"),
            _page("by_notification", notification="ipn_failure"),
        ),
        (_("Qu'est-ce qui a été envoyé ?"), reverse("journal")),
    ]
    then = timezone.now() - AGO
    if membership.company.created_at < then:
        asked.append((_("Qui aurait été prévenu il y a un mois ?"), _page("addresses", at=local_text(then))))
    return asked


def tasks(membership: Membership) -> list[Link]:
    """(task, page) of what the user may do."""
    listed: list[Link] = []
    if any(access.can_somewhere(membership, right) for right in _REPLACES):
        listed.append((_("Remplacer ou retirer une adresse partout"), reverse("address_replace")))
    if access.can_somewhere(membership, permissions.MANAGE_RULES):
        refused = wording.trigger_label("payment.refused")
        silence = wording.trigger_label("payment.silence")
        listed += [
            (
                _("Ajouter une adresse aux règles de paiements refusés"),
                _page("rules_address", q=refused, type="merchant_email", all=1),
            ),
            (
                _("Recevoir un seul e-mail par jour pour les paiements acceptés"),
                _page("all_rules", q=wording.trigger_label("payment.accepted"), type="merchant_email"),
            ),
            (_("Être prévenu quand les paiements s'arrêtent"), _page("all_rules", q=silence, type="merchant_email")),
        ]
    if access.can(membership, permissions.MANAGE_COMPANY):
        listed.append((_("Vérifier une adresse"), _page("addresses", state="unverified")))
    return listed


def _page(name: str, **query: Any) -> str:
    return reverse(name, query=query)
