"""« Remplacer ou retirer cette adresse », from the page of each address."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate
from backoffice.replacing.forms import ReplaceForm, stamp_of
from backoffice.replacing.places import OF_ACCOUNTS, Place, may_change, places_of
from backoffice.replacing.services import Done, Replacement
from backoffice.text import addresses
from companies.audit import Actor, StaleVersion
from companies.history.taking_back import undo_link
from companies.models import Company
from companies.rights import reauthentication
from companies.rights.access import CompanyRequest, company_page
from notifications.core import resolver
from notifications.settings_facts import visible_facts
from notifications.tables import effects
from notifications.tables.asking import submitted
from notifications.tables.changing import may_replace
from notifications.tables.effects import EffectPanel


@company_page()
@get_and_post
def address_replace(request: CompanyRequest) -> HttpResponse:
    """Where the address stands, with boxes; what changes; one save."""
    old = addresses.bare(request.GET.get("address", "").strip()[:254])
    if not old and request.method != "POST":
        return _choice(request)
    every = _places(request, old)
    open_places = [place for place in every if may_change(request.membership, place)]
    if not every:
        raise Http404
    if not open_places:
        raise PermissionDenied
    form = ReplaceForm(request.POST or None, places=open_places, asked=request.GET)
    outcome = submitted(
        request,
        form,
        effect=lambda: _tried(request, old, form),
        save=lambda: _saved(request, old, form),
        seen=lambda: stamp_of(open_places),
    )
    if outcome.response is not None:
        return outcome.response
    context = {
        "old": old,
        "form": form,
        "closed_places": [place for place in every if place not in open_places],
        "effect": outcome.effect,
        "question": outcome.question,
        "back": _back(old),
        "effect_url": f"?{urlencode({'address': old, 'part': 'effect'})}",
    }
    return render(request, "notifications/replacing/replace.html", context)


def _choice(request: CompanyRequest) -> HttpResponse:
    """The addresses to choose from: those that the user may change somewhere, with how many places name each."""
    facts = visible_facts(request.company, request.membership, why_not=False)
    q = request.GET.get("q", "").strip()[:254]
    needle = addresses.normalise(q)
    inherits = {f"shop_manager:{shop.site_id}" for shop in facts.shops if not shop.manager_email}
    listed = [
        (email, sum(role not in inherits for role in roles))
        for key, (email, roles) in sorted(resolver.roles(facts).items())
        if needle in key and may_replace(roles, facts, request.membership)
    ]
    if not listed and not q:
        raise PermissionDenied
    return render(
        request, "notifications/replacing/choose.html", {"page": paginate(request, listed, default=25), "q": q}
    )


def _places(request: CompanyRequest, old: str) -> list[Place]:
    return places_of(Company.objects.get(pk=request.company.pk), old, reader=request.membership) if old else []


def _back(address: str) -> str:
    return f"{reverse('addresses')}?{urlencode({'address': address})}"


def _replacement(request: CompanyRequest, old: str, form: ReplaceForm) -> Replacement:
    return Replacement(
        request.company,
        old,
        form.new_address,
        Actor.of(request),
        roles=form.cleaned_data["places"],
        reader=request.membership,
        notify=form.cleaned_data["notify"],
        tells_accounts=True,
    )


def _tried(request: CompanyRequest, old: str, form: ReplaceForm) -> EffectPanel:
    try:
        done = _replacement(request, old, form).plan()
    except ValidationError as error:
        return effects.refused(error.messages)
    return effects.panel(done.effect, done.facts)


def _proof(request: CompanyRequest, form: ReplaceForm) -> HttpResponse | None:
    """Where to prove who one is, before mail that opens accounts goes elsewhere."""
    kinds = tuple(str(kind) for kind in OF_ACCOUNTS)
    if any(role.partition(":")[0] in kinds for role in form.cleaned_data["places"]):
        return reauthentication.ask_and_go_on(request)
    return None


def _saved(request: CompanyRequest, old: str, form: ReplaceForm) -> HttpResponse:
    if (elsewhere := _proof(request, form)) is not None:
        return elsewhere
    replacement = _replacement(request, old, form)
    open_places = [place for place in _places(request, old) if may_change(request.membership, place)]
    if form.cleaned_data["seen"] != stamp_of(open_places):
        raise StaleVersion
    done = replacement.carry_out(confirmed=request.POST.get(effects.CONFIRMED, ""))
    link = undo_link(request.membership, done.entries)
    messages.success(request, format_html("{} {}", _sentence(old, form.new_address, done), link))
    still_there = bool(_places(request, old))
    return redirect(
        _back(old if still_there else form.new_address or "") if still_there or form.new_address else "addresses"
    )


def _sentence(old: str, new: str | None, done: Done) -> str:
    count = len(done.places)
    if new is None:
        text = ngettext(
            "%(old)s est retirée d'un endroit.",
            "%(old)s est retirée de %(n)d endroits.",
            count,
        )
    else:
        text = ngettext(
            "%(old)s est remplacée par %(new)s à un endroit.",
            "%(old)s est remplacée par %(new)s à %(n)d endroits.",
            count,
        )
    lines = _("Lignes perdues : %(lost)d, gagnées : %(gained)d.")
    return " ".join(
        [
            text % {"old": old, "new": new, "n": count},
            lines % {"lost": len(done.effect.lost), "gained": len(done.effect.gained)},
        ]
    )
