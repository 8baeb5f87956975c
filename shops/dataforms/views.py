"""Formulaire de collecte de données of one shop: the builder, its settings, going online, answers."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from backoffice.base.csv_files import csv_response, is_plain
from backoffice.base.forms import add_errors, carried_number, read_only
from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page, shop_or_404
from shops import dataform_content as content
from shops.dataform_content import Content
from shops.dataforms import exports, selectors, services
from shops.dataforms.forms import FieldForm, OwnFieldForm, SettingsForm
from shops.models import DataCollectionForm, DataFormVersion, Mode, Shop
from shops.orders.selectors import closed_reason


def _context(request: CompanyRequest, shop: Shop, tab: str) -> dict[str, Any]:
    """What every page of a form shows: its state and what may be done."""
    form = selectors.form_of(shop)
    draft = selectors.draft_of(form)
    live = selectors.live_version(form)
    newest = selectors.versions(form).order_by("-number").first()
    return {
        "shop": shop,
        "data_form": form,
        "draft": draft,
        "live": live,
        "requested": selectors.requested_version(form),
        "refused": newest if newest and newest.state == DataFormVersion.State.REFUSED else None,
        "differs": live is not None and live.content != content.to_json(draft),
        "alone": selectors.in_production(shop),
        "missing": content.missing(draft),
        "closed": closed_reason(shop),
        "public_url": services.public_url(form) if form.pk else "",
        "may_edit": access.can(request.membership, permissions.EDIT_SETTINGS, shop),
        "form_tab": tab,
    }


# --- The builder ----------------------------------------------------------------------------------


@company_page()
@get_and_post
def builder(request: CompanyRequest, site_id: str) -> HttpResponse:
    """« Construire le formulaire »; `?field=` shows the configuration of one field."""
    shop = shop_or_404(request, site_id)
    context = _context(request, shop, "fields")
    if request.method == "POST" and not context["may_edit"]:
        raise PermissionDenied
    draft: Content = context["draft"]
    chosen = draft.find(request.GET.get("field", ""))
    if chosen is None:
        if request.method == "POST":
            messages.error(request, _("Ce champ n'est plus dans le formulaire."))
            return redirect("data_form", site_id)
        return _builder(request, context)
    initial = {"version": context["data_form"].version}
    data = request.POST if request.method == "POST" else None
    form = FieldForm(data, item=chosen, language=shop.language, initial=initial)
    if data is not None and form.is_valid():
        try:
            _form, changes = services.field_configure(
                shop=shop, actor=Actor.of(request), seen=form.cleaned_data["version"], item=form.changed_field()
            )
        except StaleVersion:
            context = _context(request, shop, "fields")
            now = context["draft"].find(chosen.code)
            if now is None:
                conflicts.tell_by_message(request, ("datacollectionform", context["data_form"].pk))
                return redirect("data_form", site_id)
            fresh = FieldForm(item=now, language=shop.language, initial={"version": context["data_form"].version})
            conflicts.tell(request, form, fresh, ("datacollectionform", context["data_form"].pk))
        except ValidationError as error:
            add_errors(form, error)
        else:
            told = _("Champ « %(name)s » enregistré.") if changes else _("Rien n'a changé.")
            messages.success(request, told % {"name": form.changed_field().title})
            return redirect("data_form", site_id)
    if not context["may_edit"]:
        read_only(form)
    return _builder(request, context, chosen=chosen, field_form=form)


def _builder(request: CompanyRequest, context: dict[str, Any], **more: Any) -> HttpResponse:
    draft: Content = context["draft"]
    context |= {
        "groups": [
            ("required", _("Champs obligatoires"), draft.required),
            ("optional", _("Champs facultatifs"), draft.optional),
        ],
        "own_form": more.pop("own_form", None) or OwnFieldForm(),
        "full": len(draft.fields) >= content.MAX_FIELDS,
        **more,
    }
    if request.headers.get("HX-Request"):
        return render(request, "shops/dataforms/builder_parts.html", context)
    return render(request, "shops/dataforms/builder.html", context)


# What `field_act` did, in words.
_ACTED = {
    "up": gettext_lazy("« %(name)s » monte d'une place."),
    "down": gettext_lazy("« %(name)s » descend d'une place."),
    "required": gettext_lazy("« %(name)s » est obligatoire."),
    "optional": gettext_lazy("« %(name)s » est facultatif."),
    "copy": gettext_lazy("« %(name)s » est copié."),
    "remove": gettext_lazy("« %(name)s » est retiré du formulaire."),
}


@company_page(permissions.EDIT_SETTINGS)
@require_POST
def fields(request: CompanyRequest, site_id: str) -> HttpResponse:
    """The buttons of the builder: `do` is add:CODE, ACTION:CODE or own."""
    shop = shop_or_404(request, site_id, permissions.EDIT_SETTINGS)
    verb, _colon, code = request.POST.get("do", "").partition(":")
    own_form, told = OwnFieldForm(request.POST) if verb == "own" else None, ""
    try:
        told = _act_on_fields(request, shop, verb, code, own_form)
    except StaleVersion:
        conflicts.tell_by_message(request, ("datacollectionform", selectors.form_of(shop).pk))
        if own_form is not None:
            # What was typed stays, beside the form as it is now.
            return _builder(request, _context(request, shop, "fields"), own_form=own_form)
    except ValidationError as error:
        if own_form is not None and hasattr(error, "error_dict"):
            add_errors(own_form, error)
        else:
            messages.error(request, " ".join(error.messages))
    if own_form is not None and own_form.errors:
        return _builder(request, _context(request, shop, "fields"), own_form=own_form)
    if request.headers.get("HX-Request"):
        return _builder(request, _context(request, shop, "fields"), **({"told": told} if told else {}))
    if told:
        messages.success(request, told)
    return redirect("data_form", site_id)


def _act_on_fields(request: CompanyRequest, shop: Shop, verb: str, code: str, own_form: OwnFieldForm | None) -> str:
    """Do the action of a button of the builder; returns the message, empty if nothing was done."""
    seen = carried_number(request, "version") or 0
    common: dict[str, Any] = {"shop": shop, "actor": Actor.of(request), "seen": seen}
    name = _name_of(shop, code)
    if own_form is not None:
        if not own_form.is_valid():
            return ""
        services.own_field_add(**own_form.cleaned_data, **common)
        name = own_form.cleaned_data["label"]
    elif verb == "add":
        services.field_add(code=code, **common)
    elif verb in _ACTED:
        services.field_act(code=code, action=verb, **common)
        return str(_ACTED[verb]) % {"name": name}
    else:
        raise Http404
    return _("« %(name)s » est ajouté aux champs facultatifs.") % {"name": name}


def _name_of(shop: Shop, code: str) -> str:
    item = selectors.draft_of(selectors.form_of(shop)).find(code)
    if item is not None:
        return item.title
    return str(content.AVAILABLE[code].label) if code in content.AVAILABLE else code


@company_page()
@get_and_post
def texts(request: CompanyRequest, site_id: str) -> HttpResponse:
    """« Textes et montant »."""
    shop = shop_or_404(request, site_id)
    context = _context(request, shop, "texts")
    if request.method == "POST" and not context["may_edit"]:
        raise PermissionDenied
    data = request.POST if request.method == "POST" else None
    form = SettingsForm(data, draft=context["draft"], initial={"version": context["data_form"].version})
    if data is not None and form.is_valid():
        try:
            _form, changes = services.draft_change(
                shop=shop, actor=Actor.of(request), seen=form.cleaned_data["version"], change=form.changed
            )
        except StaleVersion:
            context = _context(request, shop, "texts")
            fresh = SettingsForm(draft=context["draft"], initial={"version": context["data_form"].version})
            conflicts.tell(request, form, fresh, ("datacollectionform", context["data_form"].pk))
        except ValidationError as error:
            add_errors(form, error)
        else:
            messages.success(request, _("Textes et montant enregistrés.") if changes else _("Rien n'a changé."))
            return redirect("data_form_texts", site_id)
    if not context["may_edit"]:
        read_only(form)
    return render(request, "shops/dataforms/texts.html", context | {"form": form})


@company_page()
@require_safe
def preview(request: CompanyRequest, site_id: str) -> HttpResponse:
    """To the page as the buyer sees it: of the draft, or with `?version=` of a version."""
    shop = shop_or_404(request, site_id, permissions.EDIT_SETTINGS)
    form = selectors.form_of(shop)
    if not form.pk:
        messages.info(request, _("Ajoutez ou modifiez un champ d'abord : il n'y a encore rien à montrer."))
        return redirect("data_form", site_id)
    version = None
    if number := request.GET.get("version", ""):
        version = (
            selectors.versions(form)
            .filter(number=int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 0)
            .first()
        )
        if version is None:
            raise Http404
    return redirect("data_form_preview", selectors.preview_token(form, version))


# --- Online ---------------------------------------------------------------------------------------


@company_page()
@get_and_post
def go_live(request: CompanyRequest, site_id: str) -> HttpResponse:
    """The dialogue « Mise en ligne du formulaire »."""
    shop = shop_or_404(request, site_id, permissions.EDIT_SETTINGS)
    context = _context(request, shop, "fields")
    if request.method == "POST":
        try:
            version = services.go_live(
                shop=shop,
                actor=Actor.of(request),
                seen=carried_number(request, "version") or 0,
            )
        except StaleVersion:
            conflicts.tell_by_message(request, ("datacollectionform", context["data_form"].pk))
            return redirect("data_form", site_id)
        except ValidationError as error:
            for message in error.messages:
                messages.error(request, message)
            return redirect("data_form", site_id)
        if version.state == DataFormVersion.State.LIVE:
            messages.success(
                request,
                _("La version %(n)d du formulaire est en ligne. Deux e-mails l'annoncent au Contact gestionnaire.")
                % {"n": version.number},
            )
        else:
            messages.success(
                request,
                _(
                    "La mise en ligne de la version %(n)d est demandée : l'équipe de la plateforme la relit. Un e-mail "
                    "l'annonce au Contact gestionnaire."
                )
                % {"n": version.number},
            )
        return redirect("data_form", site_id)
    return render(request, "shops/dataforms/go_live.html", context)


def _action(
    act: Callable[[CompanyRequest, Shop], bool], words: Callable[[Shop], tuple[str, str, str, str]]
) -> Callable[..., HttpResponseBase]:
    """A page that asks, naming what follows, then does it."""

    @company_page()
    @get_and_post
    def view(request: CompanyRequest, site_id: str) -> HttpResponse:
        shop = shop_or_404(request, site_id, permissions.EDIT_SETTINGS)
        title, sentence, button, done = words(shop)
        conflict = None
        if request.method == "POST":
            try:
                messages.success(request, done if act(request, shop) else _("Rien n'a changé."))
            except StaleVersion:
                form = selectors.form_of(shop)
                conflict = conflicts.conflict(request, ("datacollectionform", form.pk), is_form=False)
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
            if conflict is None:
                return redirect("data_form", site_id)
        context = {
            "title": title,
            "sentence": sentence,
            "action": button,
            "back": reverse("data_form", args=[site_id]),
            "seen": services.state_stamp(selectors.form_of(shop)),
            "conflict": conflict,
        }
        return render(request, "companies/confirm.html", context)

    return view


def _copy(request: CompanyRequest, shop: Shop) -> bool:
    seen = request.POST.get("seen")
    return bool(services.copy_live_to_draft(shop=shop, actor=Actor.of(request), seen=seen)[1])


copy_live = _action(
    _copy,
    lambda shop: (
        _("Copier le formulaire en ligne vers l'environnement de test ?"),
        _("Le brouillon de %(shop)s redevient ce qui est en ligne ; ce que vous y avez changé depuis est perdu.")
        % {"shop": shop.name},
        _("Copier"),
        _("Le brouillon est de nouveau la copie du formulaire en ligne."),
    ),
)
withdraw = _action(
    lambda request, shop: services.withdraw(shop=shop, actor=Actor.of(request), seen=request.POST.get("seen")),
    lambda shop: (
        _("Retirer le formulaire en ligne ?"),
        _(
            "L'adresse publique du formulaire de %(shop)s dira qu'il n'est plus en ligne. Le brouillon, les réponses et "
            "les ordres de paiement déjà créés restent."
        )
        % {"shop": shop.name},
        _("Retirer"),
        _("Le formulaire n'est plus en ligne."),
    ),
)
cancel_request = _action(
    lambda request, shop: services.request_cancel(shop=shop, actor=Actor.of(request), seen=request.POST.get("seen")),
    lambda shop: (
        _("Annuler la demande de mise en ligne ?"),
        _("L'équipe de la plateforme ne mettra pas en ligne le formulaire de %(shop)s ; vous pourrez le redemander.")
        % {"shop": shop.name},
        _("Annuler la demande"),
        _("La demande de mise en ligne est annulée."),
    ),
)


# --- Answers and versions -------------------------------------------------------------------------


@company_page()
@require_safe
def answers(request: CompanyRequest, site_id: str) -> HttpResponseBase:
    """What buyers entered, of one mode, newest first."""
    shop = shop_or_404(request, site_id)
    context = _context(request, shop, "answers")
    form: DataCollectionForm = context["data_form"]
    mode = request.GET.get("mode", "")
    mode = mode if mode in Mode.values else Mode.PRODUCTION
    q = request.GET.get("q", "").strip()[:254]
    answers = selectors.answers(form, mode=mode, q=q)
    if request.GET.get("format") == "csv":
        rows = exports.answer_rows(answers, selectors.answer_columns(form))
        return csv_response(rows, f"reponses-{mode.lower()}-{shop.site_id}", plain=is_plain(request))
    context |= {"page": paginate(request, answers), "mode": mode, "modes": Mode.choices, "q": q}
    return render(request, "shops/dataforms/answers.html", context)


@company_page()
@require_safe
def answer(request: CompanyRequest, site_id: str, key: UUID) -> HttpResponse:
    shop = shop_or_404(request, site_id)
    row = selectors.answer_of(request.membership, shop, key)
    if row is None:
        raise Http404
    return render(request, "shops/dataforms/answer.html", _context(request, shop, "answers") | {"answer": row})


@company_page()
@get_and_post
def answer_erase(request: CompanyRequest, site_id: str, key: UUID) -> HttpResponse:
    """Erase what a buyer entered before its time, at the buyer's request."""
    shop = shop_or_404(request, site_id, permissions.EDIT_SETTINGS)
    answer = selectors.answer_of(request.membership, shop, key)
    if answer is None:
        raise Http404
    back = reverse("data_form_answer", args=[site_id, key])
    if request.method == "POST":
        services.answer_erase(answer=answer, actor=Actor.of(request))
        messages.success(request, _("Les données de cette réponse sont effacées."))
        return redirect(back)
    context = {
        "title": _("Effacer les données de cette réponse ?"),
        "sentence": _(
            "Ce que l'acheteur a écrit dans le formulaire est effacé pour toujours. L'ordre de paiement %(order)s reste, "
            "avec son adresse e-mail et sa référence."
        )
        % {"order": answer.order.reference},
        "action": _("Effacer"),
        "back": back,
    }
    return render(request, "companies/confirm.html", context)


@company_page()
@require_safe
def versions(request: CompanyRequest, site_id: str) -> HttpResponse:
    """« Mises en ligne »: requests with author, state and decision."""
    shop = shop_or_404(request, site_id)
    context = _context(request, shop, "versions")
    rows = selectors.versions(context["data_form"]).order_by("-number")
    return render(request, "shops/dataforms/versions.html", context | {"page": paginate(request, rows)})
