"""Staff pages of companies, accounts and the history. Writes go through the services."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from backoffice.admin import (
    OPENED_ON,
    NamedRows,
    ReadOnlyAdmin,
    ServiceAdmin,
    SharedAdmin,
    changed_fields,
    link_to,
    pretty_json,
)
from backoffice.view_as import may_view_as
from backoffice.view_as import start as start_view_as
from notifications import broadcasts, consistency_reports, mass_mail
from shops import services as shop_services
from shops.models import Shop

from . import audit, conflicts, history, permissions, security, services, wording
from .audit import Actor, StaleVersion
from .models import AuditEntry, Company, Contact, Membership, Role, SftpAccount, Status, User

# The first two bypass the services; accounts have one address, on their own page. Groups have a page below.
for _model in (EmailAddress, Authenticator, Group):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)

CONTACT_KINDS = (Contact.Kind.MANAGER, Contact.Kind.TECHNICAL)
FIRST_SHOP_FIELDS = ("site_id", "name", "url", "language", "manager_email")
MANY_SHOPS = 100


def _contact_names(kind: str) -> list[str]:
    return [f"{kind}_{name}" for name in services.CONTACT_FIELDS]


class CompanyForm(forms.ModelForm):
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
            "incident_emails",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        contacts = {contact.kind: contact for contact in self.instance.contacts.all()} if self.instance.pk else {}
        for kind in CONTACT_KINDS:
            for name in services.CONTACT_FIELDS:
                self.initial.setdefault(f"{kind}_{name}", getattr(contacts.get(kind), name, ""))

    def contact(self, kind: str) -> dict[str, str]:
        return {name: self.cleaned_data.get(f"{kind}_{name}", "") for name in services.CONTACT_FIELDS}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        technical = self.contact(Contact.Kind.TECHNICAL)
        name = f"{Contact.Kind.TECHNICAL}_email"
        if any(technical.values()) and not technical["email"] and name not in self.errors:
            self.add_error(name, _("Indiquez l'adresse e-mail du contact technique."))
        return cleaned


def _contact_form_fields() -> dict[str, forms.Field]:
    found = {}
    for kind in CONTACT_KINDS:
        for name, form_field in forms.fields_for_model(Contact, services.CONTACT_FIELDS).items():
            form_field.required = name == "email" and kind == Contact.Kind.MANAGER
            found[f"{kind}_{name}"] = form_field
    return found


def _first_shop_fields() -> dict[str, forms.Field]:
    return {f"shop_{name}": form_field for name, form_field in forms.fields_for_model(Shop, FIRST_SHOP_FIELDS).items()}


class _NewCompany(CompanyForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        shop = Shop(**self.first_shop())
        try:
            shop.full_clean(exclude=["company"])
        except ValidationError as error:
            for name, found in error.message_dict.items():
                if f"shop_{name}" in self.fields and f"shop_{name}" not in self.errors:
                    self.add_error(f"shop_{name}", found)
        return cleaned

    def first_shop(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(f"shop_{name}", "") for name in FIRST_SHOP_FIELDS}


CompanyChangeForm = type("CompanyChangeForm", (CompanyForm,), _contact_form_fields())
CompanyAddForm = type("CompanyAddForm", (_NewCompany,), {**_contact_form_fields(), **_first_shop_fields()})


class ShopRowForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Other systems know the shop by its identifier.
        self.fields["site_id"].disabled = self.instance.pk is not None


class ShopInline(NamedRows):
    model = Shop
    form = ShopRowForm
    fields = ("site_id", "name", "manager_email", "language", "status")
    # Suspending and closing ask for a reason: an action of the list of shops.
    readonly_fields = ("status",)
    extra = 0
    can_delete = False
    show_change_link = True


def _states(found: list[Any]) -> str:
    """What a question about the state of these was asked on."""
    return audit.stamp(*sorted((obj.pk, obj.status, obj.status_reason) for obj in found))


class StatusAdmin(ServiceAdmin):
    """Suspending, closing and opening again what has a Status, with a reason that the merchant reads."""

    actions: tuple[str, ...] = ("suspend", "close", "reactivate")

    def set_status(self, obj: Any, *, actor: Actor, state: str, reason: str) -> object:
        """Give one object its new state, through its service."""
        raise NotImplementedError

    def _ask_status(self, request: HttpRequest, chosen: QuerySet[Any], state: str, action: str) -> HttpResponse | None:
        """Ask for the reason on a page of its own, then do it for all or for none."""
        found = list(self.model._default_manager.filter(pk__in=chosen.values_list("pk", flat=True)).order_by("pk"))
        problems: list[str] = []
        reason = request.POST.get("reason", "")
        if "confirmed" in request.POST:
            try:
                with transaction.atomic():
                    found = list(self.model._base_manager.select_for_update().filter(pk__in=[obj.pk for obj in found]))
                    audit.check_seen(request.POST.get(OPENED_ON), _states(found))
                    changed = sum(
                        bool(self.set_status(obj, actor=Actor.of(request), state=state, reason=reason)) for obj in found
                    )
            except StaleVersion:
                keys = [(self.model._meta.model_name, obj.pk) for obj in found]
                problems = [
                    conflicts.conflict(request, *keys).sentence,
                    _("Rien n'a été fait : vérifiez, puis recommencez."),
                ]
            except ValidationError as error:
                problems = error.messages
            else:
                text = ngettext("%(n)d état changé.", "%(n)d états changés.", changed)
                messages.success(request, text % {"n": changed})
                return None
        context = {
            **admin.site.each_context(request),
            "opts": self.model._meta,
            "objects": found,
            "action": action,
            "state": state,
            "title": self.get_action(action)[2],  # type: ignore[index]
            "reason": reason,
            "problems": problems,
            "opened_on": _states(found),
            "opened_on_name": OPENED_ON,
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return render(request, "admin/status_reason.html", context)

    @admin.action(description=gettext_lazy("Suspendre, avec un motif"), permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._ask_status(request, queryset, Status.SUSPENDED, "suspend")

    @admin.action(description=gettext_lazy("Fermer, avec un motif"), permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._ask_status(request, queryset, Status.CLOSED, "close")

    @admin.action(description=gettext_lazy("Réactiver ou rouvrir"), permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._ask_status(request, queryset, Status.ACTIVE, "reactivate")


@admin.register(Company)
class CompanyAdmin(StatusAdmin):
    list_display = (
        "name",
        "reference",
        "status",
        "language",
        "manager_email",
        "technical_email",
        "shops_count",
        "users_count",
    )
    list_filter = ("status", "language", "country")
    actions = (*StatusAdmin.actions, "check_settings")
    search_fields = (
        "reference",
        "name",
        "registration_number",
        "contacts__email",
        "incident_text",
        "shops__manager_email",
        "shops__site_id",
        "users__email",
        "sftp_accounts__email",
    )
    search_help_text = gettext_lazy("Nom, référence, immatriculation, identifiant boutique ou toute adresse e-mail")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Company]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                incident_text=Cast("incident_emails", TextField()),
                shops_total=_count(Shop),
                users_total=_count(User),
            )
            .prefetch_related("contacts")
        )

    def get_form(self, request: HttpRequest, obj: Company | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(
            request, obj, change, **{**kwargs, "form": CompanyChangeForm if obj else CompanyAddForm}
        )

    def get_fieldsets(self, request: HttpRequest, obj: Company | None = None) -> Any:
        sets: list[Any] = [
            (None, {"fields": ["reference", "name", "registration_number", "address", "country"]}),
            (_("Langue et fuseau horaire"), {"fields": ["language", "time_zone"]}),
            (_("Contact gestionnaire"), {"fields": _contact_names(Contact.Kind.MANAGER)}),
            (
                _("Contact technique"),
                {
                    "fields": _contact_names(Contact.Kind.TECHNICAL),
                    "description": _(
                        "La personne à interroger après la création d'une boutique. Elle ne reçoit aucun e-mail à ce "
                        "titre. Laissez vide s'il n'y en a pas."
                    ),
                },
            ),
            (
                _("En cas d'incident"),
                {"fields": ["incident_emails"], "description": _("Séparez les adresses par « ; ».")},
            ),
        ]
        if obj is None:
            sets.append((_("Première boutique"), {"fields": [f"shop_{name}" for name in FIRST_SHOP_FIELDS]}))
        else:
            sets[0][1]["fields"] += ["status", "status_reason", "status_since", "shops_link", "version"]
        return sets

    def get_readonly_fields(self, request: HttpRequest, obj: Company | None = None) -> Any:
        return ("reference", "status", "status_reason", "status_since", "shops_link", "version") if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Company | None) -> Any:
        return [ShopInline] if obj is not None and obj.shops.count() <= MANY_SHOPS else []

    def save_model(self, request: HttpRequest, obj: Company, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        manager, technical = form.contact(Contact.Kind.MANAGER), form.contact(Contact.Kind.TECHNICAL)
        if not change:
            fields = {name: form.cleaned_data[name] for name in CompanyForm.Meta.fields}
            created = services.company_create(
                actor=actor,
                manager_contact=manager,
                technical_contact=technical if technical["email"] else None,
                **fields,
            )
            shop_services.shop_create(company=created, actor=actor, **form.first_shop())
            obj.__dict__.update(created.__dict__)
            return
        company = Company.objects.get(pk=obj.pk)
        services.company_update(company=company, actor=actor, **changed_fields(form, *CompanyForm.Meta.fields))
        services.contact_save(company=company, kind=Contact.Kind.MANAGER, actor=actor, **manager)
        if technical["email"]:
            services.contact_save(company=company, kind=Contact.Kind.TECHNICAL, actor=actor, **technical)
        else:
            services.technical_contact_remove(company=company, actor=actor)

    def save_inline(self, request: HttpRequest, parent: Company, form: Any) -> None:
        actor = Actor.of(request)
        if form.instance.pk:
            shop = Shop.objects.select_related("company").get(pk=form.instance.pk)
            shop_services.shop_update(shop=shop, actor=actor, **changed_fields(form, *ShopInline.fields))
        else:
            fields = {name: form.cleaned_data[name] for name in ShopInline.fields if name in form.cleaned_data}
            shop = shop_services.shop_create(company=parent, actor=actor, **fields)
            form.instance.__dict__.update(shop.__dict__)

    @admin.display(description=gettext_lazy("Contact gestionnaire"))
    def manager_email(self, company: Company) -> str:
        contact = company.manager_contact
        return contact.email if contact else "–"

    @admin.display(description=gettext_lazy("Contact technique"))
    def technical_email(self, company: Company) -> str:
        contact = company.technical_contact
        return contact.email if contact else "–"

    @admin.display(description=gettext_lazy("Boutiques"), ordering="shops_total")
    def shops_count(self, company: Any) -> str:
        url = f"{reverse('admin:shops_shop_changelist')}?company__id__exact={company.pk}"
        return format_html('<a href="{}">{}</a>', url, company.shops_total)

    @admin.display(description=gettext_lazy("Comptes"), ordering="users_total")
    def users_count(self, company: Any) -> int:
        return int(company.users_total)

    @admin.display(description=gettext_lazy("Boutiques"))
    def shops_link(self, company: Any) -> str:
        return self.shops_count(company)

    @admin.action(description=gettext_lazy("Vérifier les réglages (rapport de consistance)"), permissions=["change"])
    def check_settings(self, request: HttpRequest, queryset: QuerySet[Company]) -> HttpResponse | None:
        """Run the checks on the companies chosen, whatever the hour of their morning run."""
        chosen = Company.objects.filter(pk__in=queryset.values("pk"), status=Status.ACTIVE).order_by("pk")
        count = chosen.count()
        if not count:
            messages.warning(request, _("Aucune des sociétés choisies n'est active : rien n'est vérifié."))
            return None
        question = mass_mail.question(
            request,
            audience=mass_mail.Audience.of_reach(broadcasts.reach("consistency_report", chosen)),
            title=_("Vérifier les réglages de %(n)d sociétés ?") % {"n": count},
            sentence=_(
                "Le Contact gestionnaire reçoit le rapport si les contrôles trouvent des erreurs qui ne lui ont pas "
                "encore été signalées : le nombre ci-dessous est un maximum."
            ),
            action=_("Vérifier"),
        )
        if question is not None:
            return question
        if consistency_reports.runs_ask(companies=chosen, actor=Actor.of(request)):
            told = ngettext("%(n)d société est vérifiée.", "%(n)d sociétés sont vérifiées.", count)
        else:
            told = ngettext(
                "%(n)d société va être vérifiée dans les minutes qui viennent.",
                "%(n)d sociétés vont être vérifiées dans les minutes qui viennent.",
                count,
            )
        messages.success(request, told % {"n": count})
        return None

    def also_opened_on(self, obj: Company) -> Any:
        rows = obj.contacts.order_by("kind").values_list("kind", *services.CONTACT_FIELDS)
        return [list(row) for row in rows]

    def newest_change(self, obj: Company) -> AuditEntry | None:
        return history.newest_among(obj.pk, "company", "contact", "shop")

    def set_status(self, obj: Company, *, actor: Actor, state: str, reason: str) -> object:
        return services.company_set_status(company=obj, actor=actor, state=state, reason=reason)


def _count(model: Any) -> Any:
    """Rows of a model per company, without a join that searches would multiply."""
    rows = model.objects.filter(company=OuterRef("pk")).order_by().values("company")
    return Coalesce(Subquery(rows.annotate(n=Count("pk")).values("n"), output_field=IntegerField()), 0)


# --- Accounts -------------------------------------------------------------------------------------


class NewUserForm(forms.ModelForm):
    """An account without a password: its owner sets it through the mailed link."""

    role = forms.ChoiceField(label=gettext_lazy("rôle"), choices=Role.choices, initial=Role.VIEWER)

    class Meta:
        model = User
        fields = ("company", "login", "email", "title", "first_name", "last_name", "phone", "language")


class MembershipForm(forms.ModelForm):
    """The access to one company; saving a role takes back permissions of one's own."""

    shops = forms.ModelMultipleChoiceField(
        label=gettext_lazy("boutiques"),
        queryset=Shop.objects.all(),
        required=False,
        widget=AutocompleteSelectMultiple(Membership._meta.get_field("shops"), admin.site),
    )

    class Meta:
        model = Membership
        fields = ("company", "role", "all_shops")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["shops"] = [grant.shop_id for grant in self.instance.grants.all()]


class MembershipInline(NamedRows):
    model = Membership
    form = MembershipForm
    fields = ("company", "role", "all_shops", "shops", "refined")
    readonly_fields = ("refined",)
    autocomplete_fields = ("company",)
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).prefetch_related("grants__shop")

    @admin.display(description=gettext_lazy("droits particuliers"))
    def refined(self, membership: Membership) -> str:
        own = [(_("En général"), membership.permissions)] if membership.permissions is not None else []
        own += [
            (str(grant.shop), grant.permissions) for grant in membership.grants.all() if grant.permissions is not None
        ]
        lines = [
            (where, ", ".join(str(permissions.LABELS[code]) for code in permissions.ordered(codes)))
            for where, codes in own
        ]
        return format_html_join("", "<div>{} : {}</div>", lines) or "–"


class ViewAsForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Motif"), max_length=200, help_text=gettext_lazy("Par exemple le numéro de la demande.")
    )


@admin.register(User)
class UserAdmin(ServiceAdmin):
    list_display = ("login", "full_name", "email", "company", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "memberships__role", "language")
    list_select_related = ("company",)
    search_fields = ("login", "email", "first_name", "last_name", "company__name", "company__reference")
    search_help_text = gettext_lazy("Identifiant, adresse e-mail, nom ou société")
    autocomplete_fields = ("company",)
    actions = ("send_link", "unlock", "end_sessions", "remove_second_factor")
    editable = ("login", "email", "title", "first_name", "last_name", "phone", "language", "time_zone", "is_active")

    change_form_template = "admin/companies/user/change_form.html"

    def get_urls(self) -> list[Any]:
        own = path("<int:key>/view-as/", self.admin_site.admin_view(self.view_as), name="companies_user_view_as")
        return [own, *super().get_urls()]

    def view_as(self, request: HttpRequest, key: int) -> HttpResponse:
        """Ask why, then see the merchant's pages as this account does."""
        target = get_object_or_404(User.objects.select_related("company"), pk=key)
        if not may_view_as(request.user, target):
            raise PermissionDenied
        form = ViewAsForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            start_view_as(request, target, form.cleaned_data["reason"])
            return redirect("home")
        context = {**self.admin_site.each_context(request), "title": _("Voir comme"), "target": target, "form": form}
        return TemplateResponse(request, "admin/view_as.html", context)

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **(kwargs if obj else {**kwargs, "form": NewUserForm}))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            hint = _(
                "Avec une société, l'identifiant et un lien à usage unique sont envoyés à l'adresse. Sans société, le "
                "compte est celui d'un membre de l'équipe : « manage.py login_link » donne sa première connexion."
            )
            return [(None, {"fields": [*NewUserForm.Meta.fields, "role"], "description": hint})]
        team = ["is_staff", "is_superuser", "groups"]
        return [
            (None, {"fields": [*self.editable, "company"]}),
            (_("Équipe de la plateforme"), {"fields": team, "classes": ["collapse"]}),
            (_("Dates"), {"fields": ["date_joined", "last_login", "locked_until"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return ()
        fixed = ("company", "date_joined", "last_login", "locked_until")
        return fixed if request.user.is_superuser else (*fixed, "is_staff", "is_superuser", "groups")

    def hold(self, obj: User) -> None:
        services.account_hold(obj, company=obj.company, seen=None)

    def also_opened_on(self, obj: User) -> Any:
        return [services.fingerprint(obj, membership.company) for membership in obj.memberships.order_by("pk")]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Whoever may change an account's address may take it over: the team's only by superusers.
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or not (obj.is_staff or obj.is_superuser) or request.user.is_superuser)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> Any:
        return [MembershipInline] if obj else []

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        if change:
            user = User.objects.select_related("company").get(pk=obj.pk)
            fields = changed_fields(form, *self.editable, "is_staff", "is_superuser")
            services.user_update(user=user, actor=actor, **fields)
            return
        fields = dict(form.cleaned_data)
        company, role = fields.pop("company"), fields.pop("role")
        if company is not None:
            user = services.user_create(company=company, actor=actor, role=role, **fields)
            messages.info(request, _("L'identifiant et un lien ont été envoyés à %(email)s.") % {"email": user.email})
        else:
            if not request.user.is_superuser:
                raise ValidationError(_("Seul un super-utilisateur crée un compte de l'équipe."))
            user = User(is_staff=True, **fields)
            user.set_unusable_password()
            user.full_clean()
            user.save()
            audit.record(actor=actor, action="user.created", obj=user, company=None, changes=audit.creation(fields))
        obj.__dict__.update(user.__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        if change and "groups" in form.changed_data:
            before = list(form.instance.groups.values_list("name", flat=True))
            after = [group.name for group in form.cleaned_data["groups"]]
            audit.record(
                actor=Actor.of(request),
                action="user.updated",
                obj=form.instance,
                company=form.instance.company,
                changes={"groups": [before, after]},
            )
        super().save_related(request, form, formsets, change)

    def save_inline(self, request: HttpRequest, parent: User, form: Any) -> None:
        values = form.cleaned_data
        company, actor = values["company"], Actor.of(request)
        user = User.objects.select_related("company").get(pk=parent.pk)
        if form.instance.pk is None or "company" in form.changed_data:
            form.instance.save()
            audit.record(
                actor=actor,
                action="user.updated",
                obj=user,
                company=company,
                changes={"access": [None, str(company)], "role": [None, values["role"]]},
            )
        services.user_update(
            user=user,
            actor=actor,
            company=company,
            role=values["role"],
            all_shops=values["all_shops"],
            shops=list(values["shops"]),
        )

    def delete_inline(self, request: HttpRequest, parent: User, obj: Membership) -> None:
        services.membership_remove(membership=obj, actor=Actor.of(request))

    @admin.display(description=gettext_lazy("nom"), ordering="last_name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.action(description=gettext_lazy("Envoyer un lien pour choisir un mot de passe"), permissions=["change"])
    def send_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        sent = skipped = 0
        for user in queryset.select_related("company"):
            if user.is_active and user.company is not None and self.has_change_permission(request, user):
                services.password_reset_request(user=user)
                sent += 1
            else:
                skipped += 1
        if sent:
            messages.success(request, ngettext("%(n)d lien envoyé.", "%(n)d liens envoyés.", sent) % {"n": sent})
        if skipped:
            text = _("%(n)d sans envoi : compte désactivé, ou compte de l'équipe (« manage.py login_link »).")
            messages.warning(request, text % {"n": skipped})

    @admin.action(description=gettext_lazy("Déverrouiller"), permissions=["change"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        accounts = [user for user in queryset.select_related("company") if self.has_change_permission(request, user)]
        n = sum(services.user_unlock(user=user, actor=Actor.of(request)) for user in accounts)
        messages.success(request, ngettext("%(n)d compte déverrouillé.", "%(n)d comptes déverrouillés.", n) % {"n": n})

    @admin.action(description=gettext_lazy("Fermer toutes les sessions"), permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        ended = sum(
            security.sessions_end(user=user, actor=Actor.of(request))
            for user in queryset.select_related("company")
            if self.has_change_permission(request, user)
        )
        messages.success(request, ngettext("%(n)d session fermée.", "%(n)d sessions fermées.", ended) % {"n": ended})

    @admin.action(description=gettext_lazy("Retirer la double authentification"), permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        removed = 0
        for user in queryset.select_related("company"):
            if self.has_change_permission(request, user) and Authenticator.objects.filter(user=user).delete()[0]:
                removed += 1
                audit.record(
                    actor=Actor.of(request),
                    action="user.updated",
                    obj=user,
                    company=user.company,
                    changes={"second_factor": [audit.MASK, None]},
                )
                security.sessions_drop(user)
        messages.success(
            request, ngettext("%(n)d compte modifié.", "%(n)d comptes modifiés.", removed) % {"n": removed}
        )


# The framework's own page takes fields without a request, too.
@admin.register(Group)
class StaffGroupAdmin(SharedAdmin, GroupAdmin):  # type: ignore[misc]
    """What the groups of the platform's team may do."""

    filter_horizontal = ()


@admin.register(SftpAccount)
class SftpAccountAdmin(ServiceAdmin):
    list_display = ("login", "email", "company", "is_active", "created_at")
    list_filter = ("is_active",)
    list_select_related = ("company",)
    search_fields = ("login", "email", "company__name", "company__reference")
    autocomplete_fields = ("company",)
    fields = ("company", "login", "email", "language", "is_active")
    actions = ("reset_password",)

    def get_readonly_fields(self, request: HttpRequest, obj: SftpAccount | None = None) -> Any:
        return ("company",) if obj else ()

    def save_model(self, request: HttpRequest, obj: SftpAccount, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        if change:
            account = SftpAccount.objects.select_related("company").get(pk=obj.pk)
            services.sftp_account_update(account=account, actor=actor, **changed_fields(form))
        else:
            created = services.sftp_account_create(actor=actor, **form.cleaned_data)
            obj.__dict__.update(created.__dict__)

    @admin.action(
        description=gettext_lazy("Générer un nouveau mot de passe et envoyer le lien"), permissions=["change"]
    )
    def reset_password(self, request: HttpRequest, queryset: QuerySet[SftpAccount]) -> None:
        accounts = list(queryset.filter(is_active=True).select_related("company"))
        for account in accounts:
            services.sftp_password_reset(account=account, actor=Actor.of(request))
        n = len(accounts)
        messages.success(request, ngettext("%(n)d lien envoyé.", "%(n)d liens envoyés.", n) % {"n": n})


class ActionFilter(admin.SimpleListFilter):
    """By what happened, in words; only what did happen is offered."""

    title = gettext_lazy("action")
    parameter_name = "action__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        codes = AuditEntry.objects.order_by().values_list("action", flat=True).distinct()
        return sorted(((code, wording.action_label(code)) for code in codes), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "company", "actor_label", "what_happened", "object_label", "ip_address")
    list_filter = (ActionFilter, "object_type")
    list_select_related = ("company",)
    date_hierarchy = "at"
    search_fields = ("actor_label", "object_label", "company__name", "company__reference", "action")
    fields = (
        "at",
        "company_link",
        "shop",
        "actor_label",
        "ip_address",
        "what_happened",
        "object_type",
        "object_label",
        "what",
    )
    readonly_fields = ("company_link", "what_happened", "what")

    @admin.display(description=gettext_lazy("action"), ordering="action")
    def what_happened(self, entry: AuditEntry) -> str:
        return wording.action_label(entry.action)

    @admin.display(description=gettext_lazy("société"))
    def company_link(self, entry: AuditEntry) -> str:
        return link_to(entry.company)

    @admin.display(description=gettext_lazy("modifications"))
    def what(self, entry: AuditEntry) -> str:
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in entry.changes.values()):
            return pretty_json(entry.changes)
        rows = format_html_join("", "<li>{} : {} → {}</li>", ((name, *pair) for name, pair in entry.changes.items()))
        return format_html('<ul class="plain">{}</ul>', rows)
