"""What staff type to issue billing, and what the URL of the merchant's list may ask for."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base import limits
from backoffice.base.fields import NamesField
from backoffice.text import amounts
from companies.models import Status
from shops.billing import uploads
from shops.models import BillingDocument, PriceList, Shop


class BillingFilter(forms.Form):
    """Search and filters of the list; values that make no sense count as absent."""

    q = forms.CharField(max_length=100, required=False)
    kind = forms.ChoiceField(choices=[("", gettext_lazy("Tous")), *BillingDocument.Kind.choices], required=False)
    # As the totals ask for it, one row a currency.
    currency = forms.RegexField("^[A-Z]{3}$", max_length=3, required=False)
    shop = forms.CharField(max_length=8, required=False)
    since = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    NAMES = ("q", "kind", "currency", "shop", "since", "until")

    def value(self, name: str) -> Any:
        self.is_valid()
        return self.cleaned_data.get(name)

    def is_active(self) -> bool:
        return any(self.value(name) for name in self.NAMES)

    def arguments(self) -> dict[str, Any]:
        """The arguments of `selectors.filtered`."""
        texts = {name: self.value(name) or "" for name in ("q", "kind", "currency", "shop")}
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

    site_ids = NamesField(
        label=gettext_lazy("boutiques"),
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        required=False,
        help_text=gettext_lazy("Identifiants boutique, séparés par des espaces ou des « ; »."),
    )
    references = NamesField(
        label=gettext_lazy("ou toutes celles de sociétés"),
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
        required=False,
        help_text=gettext_lazy("Références de sociétés, séparées par des espaces ou des « ; »."),
    )

    field_order = ("site_ids", "references", "start", "end", "price_list")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        sites, references = cleaned["site_ids"], cleaned["references"]
        if not sites and not references:
            raise ValidationError(_("Indiquez au moins une boutique ou une société."))
        shops = Shop.objects.select_related("company").exclude(status=Status.CLOSED).order_by("site_id")
        by_site = {shop.site_id: shop for shop in shops.filter(site_id__in=sites)}
        missing = [site[:20] for site in sites if site not in by_site]
        self._refuse("site_ids", [_("« %(value)s » n'est pas une boutique ouverte.") % {"value": v} for v in missing])
        of_companies = list(shops.filter(company__reference__in=references))
        known = {shop.company.reference for shop in of_companies}
        missing = [reference[:64] for reference in references if reference not in known]
        self._refuse("references", [_("« %(value)s » n'a pas de boutique ouverte.") % {"value": v} for v in missing])
        by_site.update({shop.site_id: shop for shop in of_companies})
        cleaned["shops"] = [by_site[site] for site in sorted(by_site)]
        return cleaned

    def _refuse(self, name: str, messages: list[str]) -> None:
        if messages:
            self.add_error(name, ValidationError(limits.told(messages)))


class UploadForm(PeriodForm):
    """A document made elsewhere: a CSV to be priced and drawn, or a PDF as it is."""

    site_id = forms.CharField(label=gettext_lazy("identifiant boutique"), max_length=8)
    file = forms.FileField(
        label=gettext_lazy("fichier"),
        help_text=gettext_lazy(
            "CSV (virgule ou point-virgule, UTF-8 ou Windows-1252) avec les colonnes description, quantity, unit_price ; "
            "ou PDF."
        ),
    )
    net = forms.CharField(
        label=gettext_lazy("montant hors taxes"),
        max_length=30,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        required=False,
        help_text=gettext_lazy("Pour un PDF seulement ; un CSV est additionné."),
    )

    def clean_file(self) -> Any:
        """Refuse a file over the size limit before it is read."""
        file = self.cleaned_data["file"]
        uploads.check_size(file.size)
        return file

    def clean(self) -> dict[str, Any]:
        """The amount is of the currency of the price list."""
        cleaned = super().clean() or self.cleaned_data
        typed, price_list = cleaned.get("net", ""), cleaned.get("price_list")
        if "net" in cleaned:
            cleaned["net"] = None
        if typed and price_list is not None:
            try:
                cleaned["net"] = amounts.parse(typed, price_list.currency)
            except amounts.InvalidAmount as error:
                self.add_error("net", str(error))
            else:
                if cleaned["net"] >= uploads.MAX_TOTAL:
                    self.add_error("net", _("« %(value)s » : ce montant est trop grand.") % {"value": typed[:40]})
        return cleaned

    field_order = ("site_id", "file", "net", "start", "end", "price_list")

    def clean_site_id(self) -> Shop:
        typed = self.cleaned_data["site_id"].strip()
        shop = Shop.objects.select_related("company").filter(site_id=typed).exclude(status=Status.CLOSED).first()
        if shop is None:
            raise ValidationError(_("« %(value)s » n'est pas une boutique ouverte.") % {"value": typed})
        return shop


class UnitPriceField(forms.CharField):
    """A price with up to four decimals, written like any amount of money. The page knows no currency of a new list."""

    PLACES = 4
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def prepare_value(self, value: Any) -> Any:
        return amounts.typed_text(value, "", places=self.PLACES) if isinstance(value, Decimal) else value

    def clean(self, value: Any) -> Decimal | None:
        typed = super().clean(value)
        if not typed:
            return None
        try:
            amount = amounts.parse(typed, "", places=self.PLACES)
        except amounts.InvalidAmount as error:
            raise ValidationError(str(error)) from error
        if amount >= 10**8:
            raise ValidationError(_("« %(value)s » : ce montant est trop grand.") % {"value": typed[:40]})
        return amount

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))
