"""What staff type to issue billing, and what the URL of the merchant's list may ask for."""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from companies.models import Status
from shops.models import Shop

from . import uploads
from .models import BillingDocument, PriceList


class BillingFilter(forms.Form):
    """Search and filters of the list; values that make no sense count as absent."""

    q = forms.CharField(max_length=100, required=False)
    kind = forms.ChoiceField(choices=[("", gettext_lazy("Tous")), *BillingDocument.Kind.choices], required=False)
    shop = forms.CharField(max_length=8, required=False)
    since = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    NAMES = ("q", "kind", "shop", "since", "until")

    def value(self, name: str) -> Any:
        self.is_valid()
        return self.cleaned_data.get(name)

    def is_active(self) -> bool:
        return any(self.value(name) for name in self.NAMES)

    def arguments(self) -> dict[str, Any]:
        """The arguments of `selectors.filtered`."""
        texts = {name: self.value(name) or "" for name in ("q", "kind", "shop")}
        return {**texts, "since": self.value("since"), "until": self.value("until")}


def _date_field(label: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))


class PeriodForm(forms.Form):
    """The period and the prices, shared by both ways to issue."""

    start = _date_field(gettext_lazy("du"))
    end = _date_field(gettext_lazy("au (compris)"))
    price_list = forms.ModelChoiceField(label=gettext_lazy("tarif"), queryset=PriceList.objects.all())

    def __init__(self, *args: Any, last_month: tuple[date, date] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if last_month is not None:
            self.initial.setdefault("start", last_month[0])
            self.initial.setdefault("end", last_month[1])
            self.initial.setdefault("price_list", PriceList.objects.filter(is_default=True).first())


class IssueForm(PeriodForm):
    """Shops by identifier, or all of some companies."""

    site_ids = forms.CharField(
        label=gettext_lazy("boutiques"),
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        required=False,
        help_text=gettext_lazy("Identifiants boutique, séparés par des espaces ou des « ; »."),
    )
    references = forms.CharField(
        label=gettext_lazy("ou toutes celles de sociétés"),
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
        required=False,
        help_text=gettext_lazy("Références de sociétés, séparées par des espaces ou des « ; »."),
    )

    field_order = ("site_ids", "references", "start", "end", "price_list")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        sites = cleaned.get("site_ids", "").replace(";", " ").replace(",", " ").split()
        references = cleaned.get("references", "").replace(";", " ").replace(",", " ").split()
        if not sites and not references:
            raise ValidationError(_("Indiquez au moins une boutique ou une société."))
        shops = Shop.objects.select_related("company").exclude(status=Status.CLOSED).order_by("site_id")
        by_site = {shop.site_id: shop for shop in shops.filter(site_id__in=sites)}
        for site in sites:
            if site not in by_site:
                self.add_error("site_ids", _("« %(value)s » n'est pas une boutique ouverte.") % {"value": site[:20]})
        found = dict(by_site)
        for reference in references:
            of_company = list(shops.filter(company__reference=reference))
            if not of_company:
                self.add_error(
                    "references", _("« %(value)s » n'a pas de boutique ouverte.") % {"value": reference[:64]}
                )
            found.update({shop.site_id: shop for shop in of_company})
        cleaned["shops"] = [found[site] for site in sorted(found)]
        return cleaned


class UploadForm(PeriodForm):
    """A document made elsewhere: a CSV to be priced and drawn, or a PDF as it is."""

    site_id = forms.CharField(label=gettext_lazy("identifiant boutique"), max_length=8)
    file = forms.FileField(
        label=gettext_lazy("fichier"),
        help_text=gettext_lazy("CSV en UTF-8 avec les colonnes description, quantity, unit_price ; ou PDF."),
    )
    net = forms.DecimalField(
        label=gettext_lazy("montant hors taxes"),
        max_digits=14,
        decimal_places=2,
        min_value=0,
        required=False,
        help_text=gettext_lazy("Pour un PDF seulement ; un CSV est additionné."),
    )

    def clean_file(self) -> Any:
        """Refused by its size before anybody reads it."""
        found = self.cleaned_data["file"]
        uploads.check_size(found.size)
        return found

    field_order = ("site_id", "file", "net", "start", "end", "price_list")

    def clean_site_id(self) -> Shop:
        typed = self.cleaned_data["site_id"].strip()
        shop = Shop.objects.select_related("company").filter(site_id=typed).exclude(status=Status.CLOSED).first()
        if shop is None:
            raise ValidationError(_("« %(value)s » n'est pas une boutique ouverte.") % {"value": typed})
        return shop
