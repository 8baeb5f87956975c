"""Security mails to the contacts of a company or shop: its state, and who replaces whom (`companies.announcements`).

Also how the company's own mail server fares, since these go through the platform's in any case.
"""

from django.utils.translation import gettext as _

from companies import status
from companies.models import Status
from notifications.mail.composers.base import Composer, Content, Context, composer, page_url, when_text
from notifications.models import Event


def _manager_replaced(context: Context) -> Content:
    event, data = context.event, context.data
    return Content(
        subject=_("L'adresse du Contact gestionnaire de %(company)s a changé") % {"company": event.company.name},
        headline=_("L'adresse e-mail du Contact gestionnaire de %(company)s a été remplacée.")
        % {"company": event.company.name},
        facts=[
            (_("Société"), event.company.name),
            (_("Ancienne adresse"), str(data.get("before", ""))),
            (_("Nouvelle adresse"), str(data.get("after", ""))),
            (_("Auteur"), str(data.get("author", ""))),
            (_("Date"), when_text(event.occurred_at)),
        ],
        paragraphs=[
            _(
                "La nouvelle adresse reçoit désormais les notifications du Contact gestionnaire ; l'ancienne ne les reçoit plus."
            ),
            _("Si cette modification vous surprend, prévenez l'administrateur de votre société."),
        ],
        action=(_("Voir Infos Société"), page_url("company_settings")),
    )


@composer("address_replaced")
def _address_replaced(context: Context) -> Content:
    """To the former and to the new address alike: what was done, by whom, and where to object."""
    event, data = context.event, context.data
    named = {"old": str(data.get("before", "")), "new": str(data.get("after", "")), "company": event.company.name}
    facts = [(_("Société"), event.company.name), (_("Ancienne adresse"), named["old"])]
    if named["new"]:
        headline = _("L'adresse %(old)s est remplacée par %(new)s dans le paramétrage de %(company)s.") % named
        facts.append((_("Nouvelle adresse"), named["new"]))
        effect = _("Ce que la plateforme envoyait à l'ancienne adresse part désormais vers la nouvelle.")
    else:
        headline = _("L'adresse %(old)s est retirée du paramétrage de %(company)s.") % named
        effect = _("La plateforme ne lui envoie plus ce qu'elle recevait à ces endroits.")
    return Content(
        subject=headline.rstrip("."),
        headline=headline,
        facts=[
            *facts,
            (_("Endroits modifiés"), str(data.get("places", ""))),
            (_("Auteur"), str(data.get("author", ""))),
            (_("Date"), when_text(event.occurred_at)),
        ],
        paragraphs=[effect, _("Si cette modification vous surprend, prévenez l'administrateur de votre société.")],
        action=(_("Voir les adresses contactées"), page_url("addresses")),
    )


def _company_state(context: Context) -> Content:
    named = {"name": context.event.company.name}
    match context.data.get("status"):
        case Status.SUSPENDED:
            headline = _("La société %(name)s est suspendue.") % named
        case Status.CLOSED:
            headline = _("La société %(name)s est fermée.") % named
        case _other:
            headline = _("La société %(name)s est de nouveau active.") % named
    return _state(context, headline)


def _shop_state(context: Context) -> Content:
    named = {"name": context.shop_name}
    match context.data.get("status"):
        case Status.SUSPENDED:
            headline = _("La boutique %(name)s est suspendue.") % named
        case Status.CLOSED:
            headline = _("La boutique %(name)s est fermée.") % named
        case _other:
            headline = _("La boutique %(name)s est de nouveau active.") % named
    return _state(context, headline)


def _state(context: Context, headline: str) -> Content:
    event, state, reason = context.event, context.data.get("status"), str(context.data.get("reason", ""))
    facts = [(_("Société"), event.company.name)]
    if event.shop is not None:
        facts.append((_("Boutique"), f"{event.shop.name} ({event.shop.site_id})"))
    if reason:
        facts.append((_("Motif"), reason))
    return Content(
        subject=headline.rstrip("."),
        headline=headline,
        facts=[*facts, (_("Date"), when_text(event.occurred_at))],
        paragraphs=[_consequence(event, state)],
        action=(_("Ouvrir le Back Office Marchand"), page_url("home")),
    )


def _consequence(event: Event, state: object) -> str:
    if state != Status.ACTIVE:
        return status.consequence(suspended=state == Status.SUSPENDED)
    if not status.is_active(company=event.company):
        return _(
            "Sa société n'est pas active : aucune notification ne part, sauf les messages de compte et de sécurité."
        )
    return _("Les notifications partent de nouveau selon le paramétrage.")


def _relay_closed(context: Context) -> Content:
    event, data = context.event, context.data
    falls_back = bool(data.get("falls_back"))
    return Content(
        subject=_("Votre serveur d'envoi refuse nos messages"),
        headline=_("Le serveur d'envoi de %(company)s refuse nos messages.") % {"company": event.company.name},
        facts=[
            (_("Société"), event.company.name),
            (_("Serveur SMTP"), str(data.get("relay", ""))),
            (_("Sa réponse"), str(data.get("reply", ""))),
            (_("Date"), when_text(event.occurred_at)),
        ],
        paragraphs=[
            _("Vos e-mails partent entre-temps par le serveur de la plateforme.")
            if falls_back
            else _("Vos e-mails attendent ; aucun n'est perdu."),
            _("Il est réessayé chaque minute. Un message vous dira qu'il accepte de nouveau nos messages."),
        ],
        action=(_("Voir le serveur d'envoi"), page_url("company_relay")),
    )


def _relay_reopened(context: Context) -> Content:
    event = context.event
    return Content(
        subject=_("Votre serveur d'envoi accepte de nouveau nos messages"),
        headline=_("Le serveur d'envoi de %(company)s accepte de nouveau nos messages.")
        % {"company": event.company.name},
        facts=[
            (_("Société"), event.company.name),
            (_("Serveur SMTP"), str(context.data.get("relay", ""))),
            (_("Date"), when_text(event.occurred_at)),
        ],
        paragraphs=[_("Vos e-mails partent de nouveau par lui, ceux qui attendaient aussi.")],
        action=(_("Voir le serveur d'envoi"), page_url("company_relay")),
    )


COMPOSED: dict[str, Composer] = {
    "company.relay_closed": _relay_closed,
    "company.relay_reopened": _relay_reopened,
    "company.manager_replaced": _manager_replaced,
    "company.status_changed": _company_state,
    "shop.status_changed": _shop_state,
}
