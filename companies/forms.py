"""Forms of Infos Société, of the accounts and of the history."""

from typing import Any

from crispy_forms.layout import Div
from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.base.fields import EmailListFormField, OneEmailFormField
from backoffice.base.forms import PlainForm, carry, section
from backoffice.text import zones
from companies.models import Company, Contact, Language
from notifications.core.catalogue import Source
from notifications.tables import impact

NO_INCIDENT_ADDRESS = _("Aucune adresse en cas d'incident : un incident de la plateforme n'est annoncé à personne.")
INCIDENT_HELP = _("Laissé vide, un incident de la plateforme n'est annoncé à personne.")
LAST_INCIDENT_ADDRESS_GOES = _(
    "Vous retirez la dernière adresse en cas d'incident : un incident de la plateforme ne sera annoncé à personne. "
    "Enregistrez de nouveau pour le confirmer, ou indiquez une adresse."
)


def email_help(sentence: object, email: str) -> Any:
    """What an address receives, in one line, with the link to its table."""
    if not email:
        return sentence
    return format_html('{} <a href="{}">{}</a>', sentence, impact.tables_url(email), gettext("Voir sa table"))


def preview_attributes(kind: str) -> dict[str, str]:
    """Refresh the panel beside the form while one types; harmless without scripts."""
    return {
        "hx-get": f"?preview={kind}",
        "hx-trigger": "input changed delay:400ms, focus delay:200ms",
        "hx-target": "#address-panel",
        "hx-sync": "closest form:replace",
    }


class CompanyForm(PlainForm):
    language = forms.ChoiceField(label=_("Langue"), choices=Language.choices)
    time_zone = forms.ChoiceField(label=_("Fuseau horaire"))
    newsletter_opt_out = forms.BooleanField(
        label=_("Ne pas recevoir la lettre d'information"),
        required=False,
        help_text=_("Elle est adressée au Contact gestionnaire. Les autres notifications ne changent pas."),
    )
    verify_addresses = forms.BooleanField(
        label=_("Vérifier les nouvelles adresses"),
        required=False,
        help_text=_(
            "Chaque adresse ajoutée reçoit un e-mail dont le lien confirme qu'elle est lue. La couverture signale les "
            "notifications dont aucune adresse n'est vérifiée."
        ),
    )
    version = forms.IntegerField(widget=forms.HiddenInput)

    SAVED = ("language", "time_zone", "newsletter_opt_out", "verify_addresses")

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {name: getattr(company, name) for name in (*self.SAVED, "version")})
        super().__init__(*args, **kwargs)
        offered = zones.offered()
        if company.time_zone not in offered:
            offered = [company.time_zone, *offered]
        self.fields["time_zone"].choices = [(zone, zone.replace("_", " ")) for zone in offered]  # type: ignore[attr-defined]
        self.helper = section(
            Div("language", "time_zone", css_class="row row-cols-1 row-cols-md-2"),
            "newsletter_opt_out",
            "verify_addresses",
            "version",
        )


class IncidentForm(PlainForm):
    incident_emails = EmailListFormField(label=_("E-mail(s) de contact en cas d'incident"), required=False)
    # Set once the page has said what an emptied list means.
    incident_nobody = forms.CharField(required=False, max_length=1, widget=forms.HiddenInput)

    SAVED = ("incident_emails",)

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        self.had_addresses = bool(company.incident_emails)
        kwargs.setdefault("initial", {"incident_emails": company.incident_emails})
        super().__init__(*args, **kwargs)
        field = self.fields["incident_emails"]
        links = [(impact.tables_url(email), email) for email in company.incident_emails]
        field.help_text = format_html(
            "{} {} {} {}",
            impact.source_sentence(Source.INCIDENT_CONTACT),
            INCIDENT_HELP,
            _("Plusieurs adresses : séparez-les par un point-virgule."),
            _join_links(links),
        )
        field.widget.attrs.update(preview_attributes("incident"))
        self.helper = section("incident_emails", "incident_nobody")

    def clean(self) -> dict[str, Any]:
        """Removing the last address is asked about: saved again, it is meant."""
        data = super().clean() or self.cleaned_data
        if self.had_addresses and data.get("incident_emails") == [] and not data.get("incident_nobody"):
            carry(self, incident_nobody="1")
            self.add_error("incident_emails", LAST_INCIDENT_ADDRESS_GOES)
        return data


def _join_links(links: list[tuple[str, str]]) -> Any:
    return format_html_join(" · ", '<a href="{}">{}</a>', links)


class ContactForm(PlainForm):
    """One of the two contacts; the technical one may be left empty as a whole."""

    title = forms.CharField(label=_("Civilité"), max_length=20, required=False)
    first_name = forms.CharField(label=_("Prénom"), max_length=100, required=False)
    last_name = forms.CharField(label=_("Nom"), max_length=100, required=False)
    email = OneEmailFormField(label=_("E-mail"), max_length=254)
    phone = forms.CharField(label=_("Téléphone"), max_length=30, required=False)

    SAVED = ("title", "first_name", "last_name", "email", "phone")
    _SOURCES = {Contact.Kind.MANAGER: Source.COMPANY_MANAGER}

    def __init__(self, *args: Any, kind: str, contact: Contact | None, **kwargs: Any) -> None:
        self.kind = kind
        initial = {name: getattr(contact, name) for name in self.SAVED} if contact else {}
        super().__init__(*args, prefix=kind, initial=initial, **kwargs)
        email = self.fields["email"]
        label = Contact.Kind(kind).label
        email.label = gettext("E-mail du %(contact)s") % {"contact": label}
        if kind == Contact.Kind.MANAGER:
            sentence: Any = impact.source_sentence(Source.COMPANY_MANAGER)
            sentence = format_html("{} {}", sentence, _("Les boutiques sans e-mail gestionnaire propre en héritent."))
        else:
            email.required = False
            sentence = _("En tant que Contact technique, cette adresse ne reçoit aucun e-mail de la plateforme.")
        email.help_text = email_help(sentence, contact.email if contact else "")
        email.widget.attrs.update(preview_attributes(kind))
        self.helper = section(Div("title", "first_name", "last_name", css_class="field-row"), "email", "phone")

    @property
    def is_empty(self) -> bool:
        return not any(self.cleaned_data.get(name) for name in self.SAVED)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "email" in data and not data["email"] and any(data.get(name) for name in self.SAVED):
            self.add_error("email", _("Indiquez l'adresse e-mail de ce contact, ou videz tous ses champs."))
        return data


class HistoryFilter(forms.Form):
    """Bound to the query string; refused values count as absent."""

    q = forms.CharField(max_length=254, required=False)
    object = forms.CharField(max_length=40, required=False)
    who = forms.CharField(max_length=200, required=False)
    field = forms.CharField(max_length=40, required=False)
    shop = forms.CharField(max_length=8, required=False)
    since = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    def value(self, name: str) -> Any:
        self.is_valid()
        return self.cleaned_data.get(name) or ""
