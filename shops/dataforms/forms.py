"""Forms of the builder, and the form that a buyer fills in, made of a `content.Content`."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.fields import LinkInput, OneEmailFormField
from backoffice.base.forms import PlainForm
from backoffice.text import addresses, characters, web_links
from notifications.mail.composers.base import amount_text
from shops import dataform_content as content
from shops.dataform_content import Amount, Content, FormField
from shops.orders import money

_PHONE = re.compile(r"\+?[0-9][0-9 ().\-/]{3,31}\Z")


def _texts(data: dict[str, Any], name: str) -> dict[str, str]:
    return {code: text for code in content.LANGUAGES if (text := data[f"{name}_{code}"].replace("\r\n", "\n").strip())}


# --- The builder ----------------------------------------------------------------------------------


class OwnFieldForm(PlainForm):
    """« Ajouter un champ »: a field of one's own."""

    label = forms.CharField(label=_("Nom du champ"), max_length=content.MAX_LABEL)
    kind = forms.ChoiceField(label=_("Type"), choices=[(code, content.KINDS[code].label) for code in content.OWN_KINDS])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, prefix="own", **kwargs)


class FieldForm(PlainForm):
    """« Configuration du champ sélectionné »."""

    label_fr = forms.CharField(label=_("Nom affiché (français)"), max_length=content.MAX_LABEL, required=False)
    label_en = forms.CharField(label=_("Nom affiché (anglais)"), max_length=content.MAX_LABEL, required=False)
    help_fr = forms.CharField(label=_("Infobulle (français)"), max_length=content.MAX_HELP, required=False)
    help_en = forms.CharField(label=_("Infobulle (anglais)"), max_length=content.MAX_HELP, required=False)
    min_length = forms.IntegerField(label=_("Longueur minimale"), required=False, min_value=1)
    max_length = forms.IntegerField(label=_("Longueur maximale"), required=False, min_value=1)
    confirm = forms.BooleanField(
        label=_("Champ à confirmer"),
        required=False,
        help_text=_("L'acheteur l'écrit deux fois ; les deux saisies doivent être égales."),
    )
    required = forms.BooleanField(label=_("Obligatoire"), required=False)
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, item: FormField, language: str, **kwargs: Any) -> None:
        self.item = item
        self.language = language
        kwargs["initial"] = {
            **{f"label_{code}": item.label.get(code, "") for code in content.LANGUAGES},
            **{f"help_{code}": item.help.get(code, "") for code in content.LANGUAGES},
            "min_length": item.min_length,
            "max_length": item.max_length,
            "confirm": item.confirm,
            "required": item.required,
            **kwargs.get("initial", {}),
        }
        super().__init__(*args, **kwargs)
        kind = content.KINDS[item.kind]
        for name in ("min_length", "max_length"):
            self.fields[name].widget.attrs["inputmode"] = "numeric"
        if not kind.bounded:
            del self.fields["min_length"], self.fields["max_length"]
        else:
            self.fields["max_length"].help_text = gettext("%(max)d caractères au plus.") % {"max": item.limit}
        if not kind.confirmable:
            del self.fields["confirm"]
        if not item.is_own:
            default = str(content.AVAILABLE[item.code].label)
            self.fields["label_fr"].help_text = gettext("Laissé vide : « %(name)s ».") % {"name": default}
        elif language in content.LANGUAGES:
            self.fields[f"label_{language}"].required = True
        self.fields["help_fr"].help_text = gettext("Une phrase d'aide, montrée avec le champ.")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in ("min_length", "max_length"):
            value = cleaned.get(name)
            if value and value > self.item.limit:
                self.add_error(
                    name,
                    gettext("« %(value)d » : ce champ compte au plus %(max)d caractères.")
                    % {"value": value, "max": self.item.limit},
                )
        low, high = cleaned.get("min_length"), cleaned.get("max_length")
        if low and high and low > high:
            self.add_error(
                "min_length",
                gettext("« %(low)d » dépasse la longueur maximale, %(high)d.") % {"low": low, "high": high},
            )
        return cleaned

    def changed_field(self) -> FormField:
        """The field as typed."""
        data = self.cleaned_data
        return FormField(
            code=self.item.code,
            kind=self.item.kind,
            required=data["required"],
            label=_texts(data, "label"),
            help=_texts(data, "help"),
            min_length=data.get("min_length"),
            max_length=data.get("max_length"),
            confirm=data.get("confirm", False),
        )


class SettingsForm(PlainForm):
    """Texts, amount, privacy: what a form says and asks besides its fields."""

    title_fr = forms.CharField(label=_("Titre (français)"), max_length=content.MAX_TITLE, required=False)
    title_en = forms.CharField(label=_("Titre (anglais)"), max_length=content.MAX_TITLE, required=False)
    intro_fr = forms.CharField(
        label=_("Texte d'introduction (français)"),
        max_length=content.MAX_INTRO,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    intro_en = forms.CharField(
        label=_("Texte d'introduction (anglais)"),
        max_length=content.MAX_INTRO,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    amount_kind = forms.ChoiceField(
        label=_("Le montant est"),
        choices=[("free", _("Libre : l'acheteur l'écrit")), ("fixed", _("Fixe"))],
        widget=forms.RadioSelect,
    )
    currency = forms.ChoiceField(
        label=_("Devise"),
        choices=[(code, code) for code in money.DECIMALS],
        help_text=_("Une seule devise par formulaire."),
    )
    fixed = forms.CharField(label=_("Montant fixe"), max_length=20, required=False)
    minimum = forms.CharField(label=_("Montant minimal"), max_length=20, required=False)
    maximum = forms.CharField(label=_("Montant maximal"), max_length=20, required=False)
    privacy_url = forms.CharField(
        label=_("Adresse de votre politique de protection des données"),
        max_length=500,
        required=False,
        widget=LinkInput(),
        help_text=_("Nécessaire à la mise en ligne : l'acheteur doit l'accepter pour envoyer le formulaire."),
    )
    retention_months = forms.TypedChoiceField(
        label=_("Conservation des réponses"),
        coerce=int,
        help_text=_("Passé ce délai, ce que l'acheteur a écrit est effacé ; l'ordre de paiement reste."),
    )
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, draft: Content, **kwargs: Any) -> None:
        amount = draft.amount
        kwargs["initial"] = {
            **{f"title_{code}": draft.title.get(code, "") for code in content.LANGUAGES},
            **{f"intro_{code}": draft.intro.get(code, "") for code in content.LANGUAGES},
            "amount_kind": "free" if amount.is_free else "fixed",
            "currency": draft.currency,
            "privacy_url": draft.privacy_url,
            "retention_months": draft.retention_months,
            **{
                name: money.typed_amount(value, draft.currency) if value else ""
                for name, value in (("fixed", amount.fixed), ("minimum", amount.minimum), ("maximum", amount.maximum))
            },
            **kwargs.get("initial", {}),
        }
        super().__init__(*args, **kwargs)
        self.draft = draft
        self.fields["retention_months"].choices = [  # type: ignore[attr-defined]
            (months, ngettext("%(n)d mois", "%(n)d mois", months) % {"n": months})
            for months in content.RETENTION_MONTHS
        ]
        for name in ("fixed", "minimum", "maximum"):
            self.fields[name].widget.attrs["inputmode"] = "decimal"

    def clean_privacy_url(self) -> str:
        url = str(self.cleaned_data["privacy_url"]).strip()
        if not url:
            return ""
        try:
            return web_links.check(url)
        except web_links.BadLink as error:
            raise ValidationError(
                gettext("« %(value)s » n'est pas une adresse web : %(reason)s Écrivez par exemple %(example)s.")
                % {"value": url[:80], "reason": error.reason, "example": "https://boutique.example/donnees"}
            ) from error

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        currency = cleaned.get("currency", "EUR")
        for name in ("fixed", "minimum", "maximum"):
            typed = cleaned.get(name, "").strip()
            cleaned[name] = None
            if typed:
                try:
                    cleaned[name] = money.parse_amount(typed, currency)
                except money.InvalidAmount as error:
                    self.add_error(name, str(error))
        is_fixed = cleaned.get("amount_kind") == "fixed"
        if is_fixed and cleaned.get("fixed") is None and "fixed" not in self.errors:
            self.add_error("fixed", gettext("Indiquez le montant que l'acheteur doit payer."))
        low, high = cleaned.get("minimum"), cleaned.get("maximum")
        if low and high and low > high:
            self.add_error(
                "minimum",
                gettext("« %(low)s » dépasse le montant maximal, %(high)s.")
                % {"low": amount_text(low, currency), "high": amount_text(high, currency)},
            )
        return cleaned

    def changed(self, draft: Content) -> Content:
        """The draft with what was typed."""
        data = self.cleaned_data
        is_fixed = data["amount_kind"] == "fixed"
        return Content(
            title=_texts(data, "title"),
            intro=_texts(data, "intro"),
            fields=draft.fields,
            currency=data["currency"],
            amount=Amount(fixed=data["fixed"])
            if is_fixed
            else Amount(minimum=data["minimum"], maximum=data["maximum"]),
            privacy_url=data["privacy_url"],
            retention_months=data["retention_months"],
        )


# --- What the buyer fills in ----------------------------------------------------------------------


class AnswerForm(PlainForm):
    """The fields of a content, an amount where it is free, and the acceptance of the privacy policy.

    `website` is a trap that people do not see; `form` the signed identity of the page.
    """

    checks_characters = False

    website = forms.CharField(
        label=_("Laissez ce champ vide"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "tabindex": "-1"}),
    )
    form = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, shape: Content, shop_name: str, **kwargs: Any) -> None:
        self.shape = shape
        super().__init__(*args, **kwargs)
        made: dict[str, forms.Field] = {}
        for item in shape.shown:
            made[f"f_{item.code}"] = _form_field(item)
            if item.confirm:
                made[f"f_{item.code}_again"] = _again(item)
        if shape.amount.is_free:
            made["amount"] = _amount_field(shape)
        if shape.privacy_url:
            shown = web_links.for_display(shape.privacy_url)
            policy = format_html(
                '<a href="{}" rel="noreferrer" target="_blank">{}</a>{}',
                web_links.href(shape.privacy_url),
                gettext("politique de protection des données"),
                # Where the host of the link looks like another one, it is told before anybody follows it.
                "" if shown == shape.privacy_url else f" ({shown})",
            )
            made["consent"] = forms.BooleanField(
                label=format_html(gettext("J'ai lu et j'accepte la {} de {}."), policy, shop_name),
                error_messages={
                    "required": gettext("Pour envoyer le formulaire, acceptez la politique de protection des données.")
                },
            )
        self.fields = {**made, **self.fields}

    @property
    def entries(self) -> list[forms.BoundField]:
        """What the page shows of it, in order: the fields, each with its second entry, then the amount."""
        return [self[name] for name in self.fields if name.startswith("f_") or name == "amount"]

    def clean_website(self) -> str:
        if self.cleaned_data["website"]:
            raise ValidationError(gettext("Un champ invisible a été rempli : videz-le, puis envoyez de nouveau."))
        return ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for item in self.shape.shown:
            name = f"f_{item.code}"
            value = cleaned.get(name, "")
            if value and name not in self.errors and (problem := _problem(item, value)):
                self.add_error(name, problem)
            again = f"{name}_again"
            if not item.confirm or name in self.errors or again in self.errors:
                continue
            if not _same(item, value, cleaned.get(again, "")):
                self.add_error(
                    again,
                    gettext("« %(again)s » n'est pas égal à « %(first)s » : écrivez deux fois la même chose.")
                    % {"again": cleaned.get(again, "")[:80], "first": str(value)[:80]},
                )
        return cleaned

    def clean_amount(self) -> int:
        shape, typed = self.shape, str(self.cleaned_data["amount"])
        try:
            amount = money.parse_amount(typed, shape.currency)
        except money.InvalidAmount as error:
            raise ValidationError(str(error)) from error
        low, high = shape.amount.minimum, shape.amount.maximum
        named = {"value": amount_text(amount, shape.currency)}
        if low and amount < low:
            raise ValidationError(
                gettext("« %(value)s » : le montant est d'au moins %(bound)s.")
                % {**named, "bound": amount_text(low, shape.currency)}
            )
        if high and amount > high:
            raise ValidationError(
                gettext("« %(value)s » : le montant est d'au plus %(bound)s.")
                % {**named, "bound": amount_text(high, shape.currency)}
            )
        return amount

    def values(self) -> dict[str, str]:
        """The checked entries by field code, as they are kept."""
        return {item.code: str(self.cleaned_data[f"f_{item.code}"]) for item in self.shape.shown}

    def amount(self) -> int:
        """What is to be paid, in the smallest unit."""
        fixed = self.shape.amount.fixed
        return fixed if fixed is not None else int(self.cleaned_data["amount"])


def _form_field(item: FormField) -> forms.Field:
    common: dict[str, Any] = {
        "label": item.title,
        "required": item.required,
        "help_text": item.hint,
        "error_messages": {"required": gettext("%(name)s : ce champ est obligatoire.") % {"name": item.title}},
    }
    attrs = {"autocomplete": item.autocomplete}
    if item.kind == "title":
        choices = [("", "–"), *((code, str(label)) for code, label in content.TITLES.items())]
        field: forms.Field = forms.TypedChoiceField(
            choices=choices, coerce=lambda code: str(content.TITLES[code]), empty_value="", **common
        )
        field.widget.attrs.update(attrs)
        return field
    # A length attribute would cut a pasted text in silence: longer ones come back with the reason instead.
    if item.kind == "email":
        field = OneEmailFormField(**common)
    elif item.kind == "long":
        field = forms.CharField(widget=forms.Textarea(attrs={"rows": 4}), **common)
    else:
        widget = forms.TextInput(attrs={"type": "tel"} if item.kind == "phone" else {})
        field = forms.CharField(widget=widget, **common)
    field.widget.attrs.update(attrs)
    return field


def _again(item: FormField) -> forms.Field:
    label = gettext("%(name)s, une seconde fois") % {"name": item.title}
    field = forms.CharField(
        label=label,
        required=item.required,
        error_messages={"required": gettext("%(name)s : ce champ est obligatoire.") % {"name": label}},
    )
    field.widget.attrs["autocomplete"] = "off"
    if item.kind == "email":
        field.widget.input_type = "email"
    return field


def _amount_field(shape: Content) -> forms.Field:
    low, high = (
        amount_text(bound, shape.currency) if bound else "" for bound in (shape.amount.minimum, shape.amount.maximum)
    )
    if low and high:
        hint = gettext("De %(low)s à %(high)s.") % {"low": low, "high": high}
    elif low or high:
        hint = (gettext("%(low)s au moins.") if low else gettext("%(high)s au plus.")) % {"low": low, "high": high}
    else:
        hint = gettext("Par exemple %(example)s.") % {"example": money.typed_amount(1990, shape.currency)}
    label = gettext("Montant (%(currency)s)") % {"currency": shape.currency}
    field = forms.CharField(
        label=label,
        max_length=20,
        help_text=hint,
        error_messages={"required": gettext("%(name)s : ce champ est obligatoire.") % {"name": label}},
    )
    field.widget.attrs.update({"inputmode": "decimal", "autocomplete": "off"})
    return field


def _problem(item: FormField, value: str) -> str:
    """What is wrong with an entry, naming the field and the value; empty for nothing."""
    named = {"value": value[:80], "name": item.title, "n": len(value)}
    if hidden := characters.first_hidden(characters.in_lines(value) if item.kind == "long" else value):
        named["code"] = characters.name(hidden)
        if item.kind == "long":
            return gettext("%(name)s contient un caractère de contrôle, %(code)s : retirez-le.") % named
        return gettext("%(name)s tient sur une ligne, sans caractère de contrôle : retirez %(code)s.") % named
    if item.kind != "long" and any(mark in value for mark in "\r\n\t"):
        return gettext("%(name)s tient sur une ligne, sans caractère de contrôle.") % named
    if item.min_length and len(value) < item.min_length:
        return gettext("« %(value)s » : %(name)s compte au moins %(min)d caractères, pas %(n)d.") % {
            **named,
            "min": item.min_length,
        }
    if item.kind != "title" and len(value) > item.longest:
        return gettext("« %(value)s » : %(name)s compte au plus %(max)d caractères, pas %(n)d.") % {
            **named,
            "max": item.longest,
        }
    if item.kind == "phone" and not _PHONE.match(value):
        return (
            gettext("« %(value)s » n'est pas un numéro de téléphone : écrivez par exemple +33 1 23 45 67 89.") % named
        )
    return ""


def _same(item: FormField, first: str, again: str) -> bool:
    if item.kind == "email":
        # The second entry may be pasted with a name as well as the first.
        return any(addresses.normalise(first) == addresses.normalise(piece) for piece in addresses.split(again))
    return first == again.strip()
