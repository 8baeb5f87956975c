"""Mails of the platform to many companies: the letter, and news of an incident.

One message serves every company of a language, so nothing here names a company. What is told stands in
the event's data, see `broadcasts.told`.
"""

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from ..models import Incident, IncidentUpdate
from .base import Content, Context, composer, page_url, when_text


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
        # The same subject all along: mailboxes put a conversation together by it too.
        subject=_("Incident : %(title)s") % values,
        headline=headline,
        facts=facts,
        body=data["text"],
        action=(_("Suivre l'état des services"), page_url(f"/status/?language={data['language']}")),
    )
