"""The mail of a consistency report: how many errors, the first of them, and where to correct them."""

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.checks import words as consistency_words
from notifications.checks.findings import Finding
from notifications.mail.composers.base import Content, Context, composer, page_url, support_link, when_text

# Errors named in the mail; the page has all.
NAMED = 12


@composer("consistency_report")
def _consistency_report(context: Context) -> Content:
    data, company = context.data, context.event.company
    errors = [Finding.from_json(item) for item in data["errors"]]
    checked = parse_datetime(data["checked_at"]) or context.event.occurred_at
    count = ngettext("%(n)d erreur", "%(n)d erreurs", len(errors)) % {"n": len(errors)}
    paragraphs = []
    for error in errors[:NAMED]:
        place = consistency_words.place(error, data["shops"])
        said = f"{consistency_words.sentence(error)} {consistency_words.advice(error)}"
        paragraphs.append(f"{place}{_(' : ')}{said}" if place else said)
    if len(errors) > NAMED:
        rest = len(errors) - NAMED
        paragraphs.append(
            ngettext("Et %(n)d autre erreur, sur la page.", "Et %(n)d autres erreurs, sur la page.", rest) % {"n": rest}
        )
    return Content(
        subject=_("Rapport de consistance, %(company)s : %(count)s à corriger")
        % {"company": company.name, "count": count},
        headline=ngettext(
            "Les contrôles ont trouvé %(n)d erreur dans le paramétrage de %(company)s.",
            "Les contrôles ont trouvé %(n)d erreurs dans le paramétrage de %(company)s.",
            len(errors),
        )
        % {"n": len(errors), "company": company.name},
        facts=[
            (_("Société"), company.name),
            (_("Vérifié le"), when_text(checked)),
            (_("Erreurs"), str(len(errors))),
            (_("Avertissements"), str(data["warnings"])),
        ],
        paragraphs=[
            *paragraphs,
            *([support_link()] if any(error.code in consistency_words.ASK_SUPPORT for error in errors) else []),
            _("Ce message n'est envoyé de nouveau que si les erreurs changent."),
        ],
        action=(_("Voir le rapport et corriger"), page_url("consistency_report")),
        preview=paragraphs[0] if paragraphs else "",
    )
