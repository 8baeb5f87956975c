"""Staff pages of companies. Writes go through the services."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from backoffice.base.typed import ModelForm
from backoffice.desk import company as glance
from companies import services
from companies.admin.states import StatusAdmin
from companies.audit import Actor
from companies.company_forms import (
    FIRST_SHOP_FIELDS,
    FIRST_USER_FIELDS,
    INCIDENT_MARK,
    CompanyAddForm,
    CompanyChangeForm,
    CompanyStaffForm,
    contact_names,
)
from companies.forms import NO_INCIDENT_ADDRESS
from companies.history import entries as history
from companies.models import AuditEntry, Company, Contact, Role, Status, User
from companies.staff.pages import NamedRows, changed_fields
from companies.team import services as team_services
from notifications.broadcasts import broadcasting as broadcasts
from notifications.broadcasts import mass_mail
from notifications.consistency import reports as consistency_reports
from shops import services as shop_services
from shops.models import Shop

MANY_SHOPS = 100


class ShopRowForm(ModelForm):
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
    classes = ("collapse",)


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

    class Media:
        js = ("admin-company.js",)

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
        rows: QuerySet[Company] = (
            super()
            .get_queryset(request)
            .annotate(
                incident_text=Cast("incident_emails", TextField()),
                shops_total=_count(Shop),
                users_total=_count(User),
            )
            .prefetch_related("contacts")
        )
        return rows

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The form, under the company at a glance."""
        company = self.get_object(request, unquote(object_id)) if request.method in ("GET", "HEAD") else None
        context = dict(extra_context or {})
        if company is not None and self.has_view_permission(request, company):
            context["glance"] = glance.at_a_glance(request, company)
        return super().change_view(request, object_id, form_url, context)

    def get_form(self, request: HttpRequest, obj: Company | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(
            request, obj, change, **{**kwargs, "form": CompanyChangeForm if obj else CompanyAddForm}
        )

    def get_fieldsets(self, request: HttpRequest, obj: Company | None = None) -> Any:
        sets: list[Any] = [
            (None, {"fields": ["reference", "name", "registration_number", "address", "country"]}),
            (_("Langue, fuseau horaire, adresses"), {"fields": ["language", "time_zone", "verify_addresses"]}),
            (_("Contact gestionnaire"), {"fields": contact_names(Contact.Kind.MANAGER)}),
            (
                _("Contact technique"),
                {
                    "fields": contact_names(Contact.Kind.TECHNICAL),
                    "description": _(
                        "La personne à interroger après la création d'une boutique. Elle ne reçoit aucun e-mail à ce "
                        "titre. Laissez vide s'il n'y en a pas."
                    ),
                },
            ),
            (
                _("En cas d'incident"),
                {
                    "fields": ["incident_emails", INCIDENT_MARK],
                    "description": _("Séparez les adresses par « ; »."),
                },
            ),
        ]
        if obj is None:
            sets.append((_("Première boutique"), {"fields": [f"shop_{name}" for name in FIRST_SHOP_FIELDS]}))
            if request.user.has_perm("companies.add_user"):
                hint = _(
                    "Un administrateur de la société, qui peut créer les suivants. L'identifiant et un lien à usage unique "
                    "sont envoyés à son adresse."
                )
                fields = [f"user_{name}" for name in FIRST_USER_FIELDS]
                sets.append((_("Premier utilisateur"), {"fields": fields, "description": hint}))
        else:
            sets[0][1]["fields"] += ["status", "status_reason", "status_since", "shops_link", "version"]
            # The company at a glance stands above: its form is read part by part. A part with an error is open.
            for _title, part in sets[1:]:
                part["classes"] = ("collapse",)
        return sets

    def get_readonly_fields(self, request: HttpRequest, obj: Company | None = None) -> Any:
        return ("reference", "status", "status_reason", "status_since", "shops_link", "version") if obj else ()

    def asks_proof(self, request: HttpRequest, obj: Company | None = None) -> bool:
        """A company that comes with its first user is a new account."""
        typed = request.POST.get("user_login", "").strip()
        return obj is None and bool(typed) and request.user.has_perm("companies.add_user")

    def get_inlines(self, request: HttpRequest, obj: Company | None) -> Any:
        return [ShopInline] if obj is not None and obj.shops.count() <= MANY_SHOPS else []

    def save_model(self, request: HttpRequest, obj: Company, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        manager, technical = form.contact(Contact.Kind.MANAGER), form.contact(Contact.Kind.TECHNICAL)
        if not change:
            fields = {name: form.cleaned_data[name] for name in CompanyStaffForm.Meta.fields}
            created = services.company_create(
                actor=actor,
                manager_contact=manager,
                technical_contact=technical if technical["email"] else None,
                **fields,
            )
            shop_services.shop_create(company=created, actor=actor, **form.first_shop())
            self._first_user(request, created, form)
            if not created.incident_emails:
                messages.warning(request, str(NO_INCIDENT_ADDRESS))
            obj.__dict__.update(created.__dict__)
            return
        company = Company.objects.get(pk=obj.pk)
        changes = services.company_update(
            company=company, actor=actor, **changed_fields(form, *CompanyStaffForm.Meta.fields)
        )
        if "incident_emails" in changes and not company.incident_emails:
            messages.warning(request, str(NO_INCIDENT_ADDRESS))
        services.contact_save(company=company, kind=Contact.Kind.MANAGER, actor=actor, **manager)
        if technical["email"]:
            services.contact_save(company=company, kind=Contact.Kind.TECHNICAL, actor=actor, **technical)
        else:
            services.technical_contact_remove(company=company, actor=actor)

    def _first_user(self, request: HttpRequest, company: Company, form: Any) -> None:
        fields = form.first_user()
        if fields is None or not request.user.has_perm("companies.add_user"):
            messages.warning(
                request, _("Aucun compte n'est créé : personne de la société ne peut encore se connecter.")
            )
            return
        user = team_services.user_create(
            company=company, actor=Actor.of(request), **fields, rights=team_services.Rights(role=Role.ADMINISTRATOR)
        )
        text = _("Le compte administrateur %(login)s est créé : l'identifiant et un lien ont été envoyés à %(email)s.")
        messages.info(request, text % {"login": user.login, "email": user.email})

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
        """Run the checks on the chosen companies now."""
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
