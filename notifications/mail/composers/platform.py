"""Mails of the platform to many companies: the letter, and news of an incident; and to its own staff.

One message serves every company of a language, so nothing here names a company. What is told stands in
the event's data, see `broadcasts.told`.
"""

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from notifications.mail.composers.base import Content, Context, composer, page_url, when_text
from notifications.models import Incident, IncidentUpdate


@composer("newsletter")
def _newsletter(context: Context) -> Content:
    data = context.data
    return Content(subject=data["title"], headline=data["title"], body=data["text"], unsubscribe=True)


@composer("platform_incident")
def _platform_incident(context: Context) -> Content:
    data = context.data
    state, impact = IncidentUpdate.State(data["state"]), Incident.Impact(data["impact"])
    started, resolved = (parse_datetime(data[name] or "") for name in ("started_at", "resolved_at"))
    values = {"title": data["title"]}
    if state is IncidentUpdate.State.RESOLVED:
        headline = _("Incident résolu : %(title)s") % values
    elif data["opens"]:
        headline = _("Nouvel incident : %(title)s") % values
    else:
        headline = _("Du nouveau sur l'incident : %(title)s") % values
    facts = [(_("État"), str(state.label)), (_("Gravité"), str(impact.label))]
    if started:
        facts.append((_("Début"), when_text(started)))
    if resolved:
        facts.append((_("Fin"), when_text(resolved)))
    return Content(
        # The same subject until it is over: mailboxes put a conversation together by it too. Whoever reads nothing
        # but subjects has to see that it is.
        subject=(
            _("Résolu : %(title)s") % values
            if state is IncidentUpdate.State.RESOLVED
            else _("Incident : %(title)s") % values
        ),
        headline=headline,
        facts=facts,
        body=data["text"],
        action=(_("Suivre l'état des services"), page_url("status", language=data["language"])),
    )


@composer("staff_alert")
def _staff_alert(context: Context) -> Content:
    new, over = context.data["new"], context.data["over"]
    parts = list(dict.fromkeys(one["part"] for one in new or over))
    names = ", ".join(parts)
    # A company's own mail server is not ours to mend.
    headline = _("L'envoi des notifications demande une intervention.")
    if new and parts == ["own_relay"]:
        headline = _("Le serveur d'envoi d'une société nous refuse. Elle en est prévenue ; c'est à elle de le réparer.")
    elif not new:
        headline = _("L'envoi des notifications ne demande plus d'intervention sur ce point.")
    facts = [(_("À traiter (%(part)s)") % one, one["text"]) for one in new]
    facts += [(_("Terminé (%(part)s)") % one, one["text"]) for one in over]
    return Content(
        subject=_("Envoi : à traiter (%(names)s)") % {"names": names}
        if new
        else _("Envoi : rétabli (%(names)s)") % {"names": names},
        headline=headline,
        facts=[*facts, (_("Date"), when_text(context.event.occurred_at))],
        preview=" · ".join(text for _label, text in facts),
        action=(_("Voir l'état de l'envoi"), page_url("admin:sending")),
    )
