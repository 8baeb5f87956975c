"""The page behind « Annuler »."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from backoffice.base.methods import get_and_post
from backoffice.undoing import services
from companies.audit import Actor
from companies.history import entries as history
from companies.history import sentences, taking_back
from companies.rights import reauthentication
from companies.rights.access import CompanyRequest, company_page

# Changes that are named one by one; the others are counted.
NAMED = 20


@company_page()
@get_and_post
def undo(request: CompanyRequest, token: str) -> HttpResponse:
    """Ask, naming what goes back to what, then take it back."""
    entries = taking_back.entries_of(request.membership, token)
    if not entries:
        raise Http404
    if not services.may_undo(request.membership, entries):
        raise PermissionDenied
    back = services.page_of(request.company, entries)
    if request.method == "POST":
        if any(entry.object_type in services.OF_ACCOUNTS for entry in entries):
            elsewhere = reauthentication.ask_and_go_on(request)
            if elsewhere is not None:
                return elsewhere
        try:
            services.undo(company=request.company, entries=entries, actor=Actor.of(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, _("C'est annulé : tout est comme avant."))
        return redirect(back)
    rows = [
        (sentences.entry_sentence(entry), history.changes_in_words(entry, request.membership))
        for entry in entries[:NAMED]
    ]
    context = {"rows": rows, "count": len(entries), "unnamed": max(0, len(entries) - NAMED), "back": back}
    return render(request, "site/undo.html", context)
