"""Staff pages of billing: issue from events or a file, look first, cancel by credit note; price lists."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from backoffice.base.files import file_response
from backoffice.base.typed import ModelForm
from companies import status
from companies.audit import Actor
from companies.models import Contact
from companies.staff.pages import NamedRows, ReadOnlyAdmin, ServiceAdmin, link_to
from notifications.broadcasts import mass_mail
from shops.billing import pricing, services, words
from shops.billing.forms import IssueForm, UnitPriceField, UploadForm
from shops.billing.views import pdf_response
from shops.models import BillingDocument, BillingDraft, PriceItem, PriceList, Shop


class PriceItemInline(NamedRows):
    model = PriceItem
    fields = ("code", "unit_price")
    extra = 0
    min_num = 1

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "code":
            return forms.ChoiceField(label=db_field.verbose_name, choices=pricing.CHOICES)
        if db_field.name == "unit_price":
            return UnitPriceField(label=db_field.verbose_name, max_length=30)
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class PriceListForm(ModelForm):
    class Meta:
        model = PriceList
        fields = ("name", "currency", "tax_rate", "is_default")

    def _get_validation_exclusions(self) -> set[str]:
        # Left to the service, which takes the mark of the first choice from the former list.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | {"is_default"}


@admin.register(PriceList)
class PriceListAdmin(ServiceAdmin):
    form = PriceListForm
    list_display = ("name", "currency", "tax_rate", "is_default", "updated_at")
    search_fields = ("name",)
    fields = ("name", "currency", "tax_rate", "is_default")
    inlines = (PriceItemInline,)

    def save_model(self, request: HttpRequest, obj: PriceList, form: Any, change: bool) -> None:
        """Written with its prices in `save_related`."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        prices: dict[str, Any] = {}
        for row in formsets[0].forms:
            data = row.cleaned_data
            if data and not data.get("DELETE"):
                if data["code"] in prices:
                    raise ValidationError(
                        _("« %(code)s » figure deux fois dans le tarif.")
                        % {"code": pricing.BY_CODE[data["code"]].label}
                    )
                prices[data["code"]] = data["unit_price"]
        stored = PriceList.objects.get(pk=form.instance.pk) if change else PriceList()
        fields = {name: form.cleaned_data[name] for name in self.fields}
        saved = services.price_list_save(price_list=stored, prices=prices, actor=Actor.of(request), **fields)
        form.instance.pk = saved.pk
        # What the framework's own log reads.
        for formset in formsets:
            formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []


def last_month(today: date) -> tuple[date, date]:
    end = today.replace(day=1) - timedelta(days=1)
    return end.replace(day=1), end


@admin.register(BillingDocument)
class BillingDocumentAdmin(ReadOnlyAdmin):
    change_list_template = "admin/shops/billing/change_list.html"
    change_form_template = "admin/shops/billing/change_form.html"
    list_display = ("number", "kind", "shop", "company", "period_start", "period_end", "gross_shown", "issued_at")
    company_path = "company"
    list_filter = ("kind", "source", "currency", "issued_at")
    list_select_related = ("shop", "company")
    search_fields = ("number", "shop__site_id", "shop__name", "company__name", "company__reference")
    date_hierarchy = "issued_at"
    fields = (
        "number",
        "kind",
        "source",
        "company_link",
        "shop_link",
        ("period_start", "period_end"),
        "issued_at",
        "actor_label",
        "language",
        "tax_rate",
        "net_shown",
        "tax_shown",
        "gross_shown",
        "credits_link",
        "pdf_link",
    )
    readonly_fields = (
        "company_link",
        "shop_link",
        "net_shown",
        "tax_shown",
        "gross_shown",
        "credits_link",
        "pdf_link",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[BillingDocument]:
        return super().get_queryset(request).defer("file", "lines")

    @admin.display(description=gettext_lazy("société"))
    def company_link(self, document: BillingDocument) -> Any:
        return link_to(document.company)

    @admin.display(description=gettext_lazy("boutique"))
    def shop_link(self, document: BillingDocument) -> Any:
        return link_to(document.shop)

    @admin.display(description=gettext_lazy("hors taxes"))
    def net_shown(self, document: BillingDocument) -> str:
        return words.amount(document.net, document.currency)

    @admin.display(description=gettext_lazy("TVA"))
    def tax_shown(self, document: BillingDocument) -> str:
        return words.amount(document.tax, document.currency)

    @admin.display(description=gettext_lazy("total TTC"), ordering="gross")
    def gross_shown(self, document: BillingDocument) -> str:
        return words.amount(document.gross, document.currency)

    @admin.display(description=gettext_lazy("annule ou annulée par"))
    def credits_link(self, document: BillingDocument) -> Any:
        return link_to(document.credits or getattr(document, "credit_note", None))

    @admin.display(description="PDF")
    def pdf_link(self, document: BillingDocument) -> Any:
        url = reverse("admin:shops_billing_pdf", args=[document.pk])
        return format_html('<a href="{}">{}</a>', url, document.file_name)

    def has_issue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("shops.issue_billing")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        context = {**(extra_context or {}), "may_issue": self.has_issue_permission(request)}
        return super().changelist_view(request, context)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        document = context.get("original")
        context["may_credit"] = (
            document is not None
            and self.has_issue_permission(request)
            and document.kind == BillingDocument.Kind.INVOICE
            and not hasattr(document, "credit_note")
        )
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        pages: list[tuple[str, Any, str]] = [
            ("issue/", self.issue_view, "issue"),
            ("upload/", self.upload_view, "upload"),
            ("drafts/<uuid:key>/", self.draft_view, "draft"),
            ("drafts/<uuid:key>/pdf/", self.draft_pdf_view, "draft_pdf"),
            ("<uuid:key>/credit/", self.credit_view, "credit"),
            ("<uuid:key>/pdf/", self.pdf_view, "pdf"),
        ]
        own = [
            path(route, self.admin_site.admin_view(view), name=f"shops_billing_{name}") for route, view, name in pages
        ]
        return own + super().get_urls()

    def _page(self, request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.opts, "title": title, **more}

    def _allow(self, request: HttpRequest) -> None:
        if not self.has_issue_permission(request):
            raise PermissionDenied

    # --- From events ------------------------------------------------------------------------------

    def issue_view(self, request: HttpRequest) -> HttpResponse:
        """Choose shops and a period, look at the figures of each, issue."""
        self._allow(request)
        data = request.POST if request.method == "POST" else None
        form = IssueForm(data, last_month=last_month(timezone.localdate()))
        context = self._page(request, _("Émettre la facturation détaillée"), form=form)
        if data is None or not form.is_valid():
            return render(request, "admin/shops/billing/issue.html", context)
        values = form.cleaned_data
        wanted = {"price_list": values["price_list"], "start": values["start"], "end": values["end"]}
        previews = [_preview(shop, wanted) for shop in values["shops"]]
        billable = [preview["shop"] for preview in previews if preview["bill"]]
        context |= {
            "previews": previews,
            "billable": len(billable),
            "hidden": _hidden(data, form),
            "period": words.period(values["start"], values["end"]),
            "currency": values["price_list"].currency,
        }
        if "issue" not in data or not billable:
            return render(request, "admin/shops/billing/issue_preview.html", context)
        question = mass_mail.question(
            request,
            audience=_audience(billable),
            title=_("Émettre %(n)d factures ?") % {"n": len(billable)},
            sentence=_("Chaque document part aussitôt par e-mail au Contact gestionnaire et ne pourra plus changer."),
            action=_("Émettre et envoyer"),
            back=reverse("admin:shops_billing_issue"),
        )
        if question is not None:
            return question
        done, refused = 0, []
        for shop in billable:
            try:
                services.billing_issue(shop=shop, actor=Actor.of(request), **wanted)
                done += 1
            except ValidationError as error:
                refused += error.messages
        for message in refused[:10]:
            messages.error(request, message)
        if done:
            told = ngettext(
                "%(n)d document est émis et part par e-mail.", "%(n)d documents sont émis et partent par e-mail.", done
            )
            messages.success(request, told % {"n": done})
        return redirect("admin:shops_billingdocument_changelist")

    # --- From a file ------------------------------------------------------------------------------

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """Take a CSV or a PDF of one shop; what is wrong with it is told line by line."""
        self._allow(request)
        data = (request.POST, request.FILES) if request.method == "POST" else ()
        form = UploadForm(*data, last_month=last_month(timezone.localdate()))
        if data and form.is_valid():
            values = form.cleaned_data
            try:
                draft = services.draft_create(
                    shop=values["site_id"],
                    price_list=values["price_list"],
                    start=values["start"],
                    end=values["end"],
                    upload=services.Upload(values["file"].read(), values["file"].name, values["net"]),
                    actor=Actor.of(request),
                )
            except ValidationError as error:
                form.add_error(None, error)
            else:
                return redirect("admin:shops_billing_draft", draft.pk)
        context = self._page(request, _("Émettre à partir d'un fichier"), form=form)
        return render(request, "admin/shops/billing/upload.html", context)

    def _draft(self, request: HttpRequest, key: UUID) -> BillingDraft:
        self._allow(request)
        draft = BillingDraft.objects.select_related("shop__company", "price_list").filter(pk=key).first()
        if draft is None:
            raise Http404
        return draft

    def draft_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """The document the file would give; issue it or drop it."""
        draft = self._draft(request, key)
        if request.method == "POST":
            if "drop" in request.POST:
                draft.delete()
                messages.success(request, _("Le fichier est abandonné ; rien n'a été émis."))
                return redirect("admin:shops_billing_upload")
            try:
                document = services.draft_issue(draft=draft, actor=Actor.of(request))
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
                return redirect("admin:shops_billingdocument_changelist")
            messages.success(request, _issued(document))
            return redirect("admin:shops_billingdocument_change", document.pk)
        preview = _figures(draft.shop, services.draft_bill(draft))
        period = words.period(draft.period_start, draft.period_end)
        context = self._page(request, _("Aperçu du document"), draft=draft, preview=preview, period=period)
        return render(request, "admin/shops/billing/draft.html", context)

    @method_decorator(require_safe)
    def draft_pdf_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        draft = self._draft(request, key)
        if draft.source != BillingDocument.Source.PDF:
            raise Http404
        return file_response(bytes(draft.file), "apercu.pdf", "application/pdf")

    # --- One document -----------------------------------------------------------------------------

    @method_decorator(require_safe)
    def pdf_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        document = BillingDocument.objects.filter(pk=key).first()
        if document is None:
            raise Http404
        return pdf_response(document)

    def credit_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Ask, then cancel an invoice by a credit note."""
        self._allow(request)
        document = BillingDocument.objects.select_related("shop__company").filter(pk=key).first()
        if document is None:
            raise Http404
        if request.method != "POST":
            context = self._page(
                request,
                _("Annuler %(number)s par un avoir ?") % {"number": document.number},
                document=document,
                gross=words.amount(document.gross, document.currency),
            )
            return render(request, "admin/shops/billing/credit.html", context)
        try:
            note = services.credit_note_issue(document=document, actor=Actor.of(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("admin:shops_billingdocument_change", document.pk)
        messages.success(request, _issued(note))
        return redirect("admin:shops_billingdocument_change", note.pk)


def _issued(document: BillingDocument) -> str:
    values = {"number": document.number}
    if status.is_active(company=document.company, shop=document.shop):
        return _("%(number)s est émis et part par e-mail.") % values
    return _("%(number)s est émis ; la société ou la boutique étant suspendue, aucun e-mail ne part.") % values


def _preview(shop: Shop, wanted: dict[str, Any]) -> dict[str, Any]:
    try:
        bill = services.computed_bill(shop=shop, **wanted)
    except ValidationError as error:
        return {"shop": shop, "bill": None, "why_not": " ".join(error.messages)}
    return _figures(shop, bill)


def _figures(shop: Shop, bill: pricing.Bill) -> dict[str, Any]:
    return {
        "shop": shop,
        "bill": bill,
        "why_not": "",
        "lines": [words.row(item, bill.currency) for item in bill.lines],
        "rate": words.rate(bill.tax_rate),
        **{name: words.amount(getattr(bill, name), bill.currency) for name in ("net", "tax", "gross")},
        "is_told": status.is_active(company=shop.company, shop=shop),
    }


def _audience(shops: list[Shop]) -> mass_mail.Audience:
    managers = dict(
        Contact.objects.filter(company__in={shop.company_id for shop in shops}, kind=Contact.Kind.MANAGER).values_list(
            "company_id", "email"
        )
    )
    return mass_mail.Audience.of_addresses(
        (managers[shop.company_id], shop.company.name) for shop in shops if managers.get(shop.company_id)
    )


def _hidden(data: Any, form: forms.Form) -> list[tuple[str, str]]:
    return [(name, data.get(name, "")) for name in form.fields]
