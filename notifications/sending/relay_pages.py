"""Infos Société › Serveur d'envoi: the mail server of a company, for its administrators."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from backoffice.base.forms import PlainForm, add_errors, section
from backoffice.base.methods import get_and_post
from companies import audit
from companies.audit import Actor
from companies.history import conflicts
from companies.models import Company
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page
from companies.rights.reauthentication import ask_again, ask_and_go_on
from notifications.models import Breaker, CompanyRelay
from notifications.outbox import relays

STARTTLS = CompanyRelay.Security.STARTTLS


class RelayForm(PlainForm):
    """The server, who logs in to it, and what happens while it cannot be used."""

    host = forms.CharField(
        label=gettext_lazy("Serveur SMTP"),
        max_length=253,
        help_text=gettext_lazy("Son nom public, par exemple smtp.exemple.fr."),
    )
    port = forms.IntegerField(label=gettext_lazy("Port"), min_value=1, max_value=65535, initial=587)
    security = forms.ChoiceField(
        label=gettext_lazy("Chiffrement"), choices=CompanyRelay.Security.choices, initial=STARTTLS
    )
    username = forms.CharField(label=gettext_lazy("Identifiant"), max_length=200, required=False)
    password = forms.CharField(
        label=gettext_lazy("Mot de passe"),
        max_length=500,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    sender = forms.CharField(
        label=gettext_lazy("Adresse d'expéditeur"),
        max_length=254,
        required=False,
        help_text=gettext_lazy(
            "Une adresse de votre domaine, que ce serveur accepte et signe (SPF, DKIM). Vide : celle de la plateforme, que peu "
            "de serveurs acceptent d'envoyer."
        ),
    )
    falls_back = forms.BooleanField(
        label=gettext_lazy("Passer par le serveur de la plateforme quand celui-ci ne peut pas envoyer"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Sinon vos e-mails attendent qu'il réponde de nouveau ; aucun n'est perdu."),
    )

    seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=40)

    def __init__(self, *args: Any, has_password: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if has_password:
            self.fields["password"].help_text = _("Vide : le mot de passe enregistré reste.")
        self.helper = section(*self.fields)


def _state(company: Company, relay: CompanyRelay | None) -> Breaker | None:
    return Breaker.objects.filter(relay=relay.breaker_name).first() if relay is not None else None


@company_page(permissions.MANAGE_COMPANY)
@require_safe
def relay(request: CompanyRequest) -> HttpResponse:
    """Which server takes the company's mail, and whether it does."""
    known = relays.of_company(request.company)
    context = {
        "relay": known,
        "seen": relays.stamp(known),
        "breaker": _state(request.company, known),
        "waiting": relays.waiting(request.company) if known is not None else 0,
        "may_edit": access.can(request.membership, permissions.MANAGE_COMPANY),
    }
    return render(request, "notifications/sending/relay.html", context)


@company_page(permissions.MANAGE_COMPANY)
@get_and_post
@sensitive_post_parameters("password")
@sensitive_variables("password", "form", "values")
def relay_edit(request: CompanyRequest) -> HttpResponseBase:
    """Prove one's identity, enter the server; it is saved after a successful dialogue with it."""
    if (first := ask_again(request)) is not None:
        return first
    known = relays.of_company(request.company)
    form = _form(known, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        password, seen = values.pop("password") or None, values.pop("seen")
        try:
            relays.save(actor=Actor.of(request), company=request.company, values=values, password=password, seen=seen)
        except audit.StaleVersion:
            known = relays.of_company(request.company)
            conflicts.tell(request, form, _form(known), *_objects(known))
        except ValidationError as error:
            add_errors(form, error)
        else:
            messages.success(request, _("L'essai a réussi : vos e-mails partent désormais par ce serveur."))
            return redirect("company_relay")
    return render(request, "notifications/sending/relay_edit.html", {"form": form, "relay": known})


def _form(known: CompanyRelay | None, data: QueryDict | None = None) -> RelayForm:
    initial = {name: getattr(known, name) for name in relays.FIELDS} if known is not None else {}
    return RelayForm(
        data, initial={**initial, "seen": relays.stamp(known)}, has_password=bool(known and known.password)
    )


def _objects(known: CompanyRelay | None) -> list[tuple[str, Any]]:
    return [("companyrelay", known.pk)] if known is not None else []


@company_page(permissions.MANAGE_COMPANY)
@require_POST
def relay_remove(request: CompanyRequest) -> HttpResponseBase:
    """Send by the platform's server again."""
    if (first := ask_and_go_on(request)) is not None:
        return first
    try:
        removed = relays.remove(actor=Actor.of(request), company=request.company, seen=request.POST.get("seen"))
    except audit.StaleVersion:
        conflicts.tell_by_message(request, *_objects(relays.of_company(request.company)))
        return redirect("company_relay")
    if removed:
        messages.success(request, _("Vos e-mails partent de nouveau par le serveur de la plateforme."))
    return redirect("company_relay")
