"""The staff form of a company: its contacts, who is told of incidents, and at creation the first shop and user."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base.forms import carry
from backoffice.base.typed import ModelForm
from companies import services
from companies.forms import INCIDENT_HELP, LAST_INCIDENT_ADDRESS_GOES
from companies.models import Company, Contact, User
from shops import services as shop_services
from shops.models import Shop

CONTACT_KINDS = (Contact.Kind.MANAGER, Contact.Kind.TECHNICAL)
FIRST_SHOP_FIELDS = ("site_id", "name", "url", "language", "manager_email")
FIRST_USER_FIELDS = ("login", "email", "title", "first_name", "last_name")
# Marks a form that was told what an empty list of incident addresses means.
INCIDENT_MARK = "incident_proposed"


def contact_names(kind: str) -> list[str]:
    return [f"{kind}_{name}" for name in services.CONTACT_FIELDS]


class CompanyStaffForm(ModelForm):
    """A company with its two contacts; an emptied technical contact is removed."""

    class Meta:
        model = Company
        fields = (
            "reference",
            "name",
            "registration_number",
            "address",
            "country",
            "language",
            "time_zone",
            "verify_addresses",
            "incident_emails",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        contacts = {contact.kind: contact for contact in self.instance.contacts.all()} if self.instance.pk else {}
        for kind in CONTACT_KINDS:
            for name in services.CONTACT_FIELDS:
                self.initial.setdefault(f"{kind}_{name}", getattr(contacts.get(kind), name, ""))
        self.had_incident_emails = bool(self.instance.incident_emails)
        # Whoever may only look at the page has no fields.
        if "incident_emails" in self.fields:
            self.fields["incident_emails"].help_text = INCIDENT_HELP

    def contact(self, kind: str) -> dict[str, str]:
        return {name: self.cleaned_data.get(f"{kind}_{name}", "") for name in services.CONTACT_FIELDS}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        technical = self.contact(Contact.Kind.TECHNICAL)
        name = f"{Contact.Kind.TECHNICAL}_email"
        if any(technical.values()) and not technical["email"] and name not in self.errors:
            self.add_error(name, _("Indiquez l'adresse e-mail du contact technique."))
        if cleaned.get("incident_emails") == [] and not self.data.get(INCIDENT_MARK):
            self.ask_about_incidents()
        return cleaned

    def ask_about_incidents(self) -> None:
        """Ask once for confirmation of an empty list of incident addresses."""
        if self.had_incident_emails:
            self.come_back_with()
            self.add_error("incident_emails", LAST_INCIDENT_ADDRESS_GOES)

    def come_back_with(self, **values: str) -> None:
        """Show the form again with these values, marked as confirmed."""
        carry(self, **values, **{INCIDENT_MARK: "1"})


class NewCompanyForm(CompanyStaffForm):
    """With the first shop and, where an identifier is given, the first user."""

    def ask_about_incidents(self) -> None:
        """The address of the Contact gestionnaire is proposed there, as a plain value (the client's document)."""
        if email := self.cleaned_data.get("manager_email"):
            self.come_back_with(incident_emails=email)
            told = _(
                "Proposition : %(email)s, l'adresse du Contact gestionnaire. Enregistrez de nouveau pour l'accepter, "
                "remplacez-la, ou videz ce champ : un incident de la plateforme n'est alors annoncé à personne."
            )
            self.add_error("incident_emails", told % {"email": email})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        self._check(Shop(**self.first_shop()), "shop", exclude=["company"])
        user = self.first_user()
        if user is not None:
            self._check(User(**user), "user", exclude=["company", "password"])
        elif any(cleaned.get(f"user_{name}") for name in FIRST_USER_FIELDS) and "user_login" not in self.errors:
            self.add_error("user_login", _("Donnez un identifiant au premier utilisateur, ou videz ses champs."))
        return cleaned

    def _check(self, instance: Any, part: str, exclude: list[str]) -> None:
        try:
            instance.full_clean(exclude=exclude)
        except ValidationError as error:
            for name, problems in error.message_dict.items():
                field = f"{part}_{'login' if name == '__all__' else name}"
                if field in self.fields and field not in self.errors:
                    self.add_error(field, problems)

    def first_shop(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(f"shop_{name}", "") for name in FIRST_SHOP_FIELDS}

    def first_user(self) -> dict[str, str] | None:
        """The administrator to create; what is left empty is the Contact gestionnaire's. None without an identifier."""
        login = self.cleaned_data.get("user_login", "")
        if not login:
            return None
        manager = self.contact(Contact.Kind.MANAGER)
        given = {name: self.cleaned_data.get(f"user_{name}", "") for name in FIRST_USER_FIELDS}
        # Another person's name is not half that of the Contact gestionnaire.
        names = ("title", "first_name", "last_name")
        if not any(given[name] for name in names):
            given |= {name: manager[name] for name in names}
        return {**given, "login": login, "email": given["email"] or manager["email"]}


def _contact_fields() -> dict[str, forms.Field]:
    fields = {}
    for kind in CONTACT_KINDS:
        for name, field in forms.fields_for_model(Contact, services.CONTACT_FIELDS).items():
            field.required = name == "email" and kind == Contact.Kind.MANAGER
            fields[f"{kind}_{name}"] = field
    return fields


def _first_shop_fields() -> dict[str, forms.Field]:
    fields = {f"shop_{name}": field for name, field in forms.fields_for_model(Shop, FIRST_SHOP_FIELDS).items()}
    fields["shop_site_id"].initial = shop_services.free_site_id
    fields["shop_site_id"].help_text = gettext_lazy("Proposé au hasard parmi les identifiants libres.")
    fields["shop_manager_email"].help_text = gettext_lazy(
        "Laissé vide : l'adresse du Contact gestionnaire de la société est utilisée, et la boutique suit ses changements."
    )
    return fields


def _first_user_fields() -> dict[str, forms.Field]:
    fields = {f"user_{name}": field for name, field in forms.fields_for_model(User, FIRST_USER_FIELDS).items()}
    for field in fields.values():
        field.required = False
    fields["user_login"].help_text = gettext_lazy(
        "Laissé vide, aucun compte n'est créé : personne de la société ne peut encore se connecter."
    )
    fields["user_email"].help_text = gettext_lazy("Laissé vide : celui du Contact gestionnaire, son nom de même.")
    return fields


def _mark() -> dict[str, forms.Field]:
    return {INCIDENT_MARK: forms.CharField(required=False, widget=forms.HiddenInput, label="")}


CompanyChangeForm = type("CompanyChangeForm", (CompanyStaffForm,), {**_contact_fields(), **_mark()})
CompanyAddForm = type(
    "CompanyAddForm",
    (NewCompanyForm,),
    {**_contact_fields(), **_mark(), **_first_shop_fields(), **_first_user_fields()},
)
