"""Forms of payment orders: creating and changing, validity, search, templates, and the buyer's problem."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from crispy_forms.bootstrap import FieldWithButtons, StrictButton
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.fields import EmailListFormField, OneEmailFormField
from backoffice.base.forms import PlainForm, section
from backoffice.text import amounts, characters, times
from companies.models import Language
from shops.models import (
    DEFAULT_VALIDITY_DAYS,
    MAX_VALIDITY_DAYS,
    Mode,
    PaymentOrder,
    PaymentOrderTemplate,
    Shop,
    reference_validator,
)
from shops.orders import money, text
from shops.orders.selectors import Search, SendState


def _day_input(**attrs: str) -> forms.DateInput:
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", **attrs})


def placeholder_help() -> str:
    names = ", ".join(f"%{name}%" for name in text.PLACEHOLDERS)
    return gettext("Variables : %(names)s. Le lien est ajouté à la fin s'il manque.") % {"names": names}


class OrderForm(PlainForm):
    """« Détails de l'ordre » and « Message à envoyer ».

    Works for a new order (several recipients) and for « Modifier et renvoyer » (one).
    """

    reference = forms.CharField(
        label=_("Référence de la commande"),
        max_length=64,
        required=False,
        validators=[reference_validator],
        help_text=_(
            "64 caractères au plus : lettres sans accent, chiffres, . _ et -. Vide : donnée par la plateforme."
        ),
    )
    amount = forms.CharField(
        label=_("Montant"), max_length=40, widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    )
    currency = forms.ChoiceField(label=_("Devise"), choices=[(code, code) for code in money.DECIMALS])
    valid_until = forms.DateField(label=_("Date de fin de validité"), widget=_day_input())
    buyer_reference = forms.CharField(label=_("Référence de l'acheteur"), max_length=64, required=False)
    validation = forms.ChoiceField(label=_("Validation"), choices=PaymentOrder.Validation.choices, required=False)
    capture_delay = forms.IntegerField(
        label=_("Délai avant remise (jours)"),
        min_value=0,
        max_value=365,
        required=False,
        help_text=_("Vide : le réglage de la boutique."),
    )
    recipients = EmailListFormField(label=_("À"))
    language = forms.ChoiceField(label=_("Langue du message"), choices=Language.choices)
    template = forms.ChoiceField(
        label=_("Modèle"), required=False, help_text=_("Remplace l'objet et le message ci-dessous.")
    )
    subject = forms.CharField(label=_("Objet"), max_length=200)
    body = forms.CharField(label=_("Message"), max_length=5000, widget=forms.Textarea(attrs={"rows": 11}))
    copy_to_manager = forms.BooleanField(label=_("E-mail gestionnaire"), required=False)
    with_extra_copy = forms.BooleanField(label=_("Autre adresse"), required=False)
    extra_copy = OneEmailFormField(label=_("Autre adresse en copie cachée"), max_length=254, required=False)
    send_at = forms.DateTimeField(
        label=_("Envoi différé au"),
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
    )
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    # The choice of a template with its button, which fills in subject and body.
    template_helper = section(
        FieldWithButtons(
            "template",
            StrictButton(
                _("Utiliser"),
                type="submit",
                name="use_template",
                value="1",
                css_class="btn-outline-secondary",
                formnovalidate="formnovalidate",
            ),
        )
    )

    DETAILS = ("reference", "amount", "currency", "valid_until", "buyer_reference", "validation", "capture_delay")

    def __init__(
        self,
        *args: Any,
        shop: Shop,
        channel: str,
        templates: list[PaymentOrderTemplate],
        order: PaymentOrder | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.shop, self.channel, self.order = shop, channel, order
        by_email = channel == PaymentOrder.Channel.EMAIL
        fields: dict[str, Any] = self.fields
        zone = ZoneInfo(shop.company.time_zone)
        today = timezone.now().astimezone(zone).date()
        last = today + timedelta(days=MAX_VALIDITY_DAYS)
        fields["valid_until"].widget.attrs.update({"min": today.isoformat(), "max": last.isoformat()})
        fields["valid_until"].help_text = gettext("Jusqu'à la fin de ce jour ; au plus tard le %(last)s.") % {
            "last": times.day(last)
        }
        fields["body"].help_text = placeholder_help()
        fields["template"].choices = [
            ("", gettext("Message par défaut de la plateforme")),
            *(
                (
                    str(item.pk),
                    gettext("%(name)s (%(language)s, par défaut)")
                    % {"name": item.name, "language": item.language.upper()}
                    if item.is_default
                    else f"{item.name} ({item.language.upper()})",
                )
                for item in templates
            ),
        ]
        if order is not None:
            fields["reference"].required = True
            fields["recipients"] = OneEmailFormField(
                label=fields["recipients"].label, max_length=254, required=by_email
            )
            del fields["send_at"]
        elif by_email:
            fields["recipients"].help_text = _(
                "Plusieurs adresses : séparez-les par un point-virgule. Chacune reçoit son propre ordre, "
                "de référence -001, -002…"
            )
            fields["send_at"].help_text = gettext("Vide : envoi immédiat. Heure de %(zone)s.") % {"zone": zone.key}
        if not by_email:
            fields["recipients"].required = False
            fields["recipients"].label = _("E-mail de l'acheteur")
            fields["recipients"].help_text = _("Pour mémoire : rien n'est envoyé à cette adresse par cet ordre.")
            for name in ("copy_to_manager", "with_extra_copy", "extra_copy", "subject", "send_at"):
                fields.pop(name, None)

    def clean_send_at(self) -> datetime | None:
        """The typed time is one of the company's clock, not of the reader's."""
        typed: datetime | None = self.cleaned_data["send_at"]
        if typed is None:
            return None
        return typed.replace(tzinfo=ZoneInfo(self.shop.company.time_zone))

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("amount") and data.get("currency"):
            try:
                data["amount"] = money.parse_amount(data["amount"], data["currency"])
            except money.InvalidAmount as error:
                self.add_error("amount", str(error))
        for name in ("subject", "body"):
            if data.get(name):
                try:
                    text.check_text(data[name])
                except ValidationError as error:
                    self.add_error(name, error)
        if "with_extra_copy" in self.fields and "extra_copy" not in self.errors:
            if data.get("with_extra_copy") and not data.get("extra_copy"):
                self.add_error("extra_copy", _("Indiquez l'adresse, ou décochez la case « Autre adresse »."))
            elif data.get("extra_copy") and not data.get("with_extra_copy"):
                # The box is what decides; without scripts an address may be typed and the box forgotten.
                self.add_error(
                    "extra_copy",
                    gettext("Cochez la case « Autre adresse » pour écrire à %(email)s, ou videz ce champ.")
                    % {"email": data["extra_copy"]},
                )
        return data

    def saved(self) -> dict[str, Any]:
        """The arguments of the services that are the same for creating and changing."""
        data = self.cleaned_data
        return {
            "reference": data["reference"],
            "amount": data["amount"],
            "currency": data["currency"],
            "valid_until": data["valid_until"],
            "buyer_reference": data["buyer_reference"],
            "validation": data["validation"],
            "capture_delay": data["capture_delay"],
            "language": data["language"],
            "body": data["body"],
            "subject": data.get("subject") or (self.order.subject if self.order else ""),
            "copy_to_manager": data.get("copy_to_manager", False),
            "extra_copy": data.get("extra_copy", "") if data.get("with_extra_copy") else "",
        }


def new_order_initial(shop: Shop, language: str, source: PaymentOrder | None = None) -> dict[str, Any]:
    """What a new order starts with: the shop's defaults, or a copy of another one without its reference."""
    today = timezone.now().astimezone(ZoneInfo(shop.company.time_zone)).date()
    initial: dict[str, Any] = {
        "currency": "EUR",
        "language": language,
        "valid_until": today + timedelta(days=DEFAULT_VALIDITY_DAYS),
    }
    if source is not None:
        initial |= order_initial(source)
        del initial["reference"], initial["version"]
        if initial["valid_until"] < today:
            initial["valid_until"] = today + timedelta(days=DEFAULT_VALIDITY_DAYS)
    return initial


def order_initial(order: PaymentOrder) -> dict[str, Any]:
    return {
        "reference": order.reference,
        "amount": money.typed_amount(order.amount, order.currency),
        "currency": order.currency,
        "valid_until": order.valid_until,
        "buyer_reference": order.buyer_reference,
        "validation": order.validation,
        "capture_delay": order.capture_delay,
        "recipients": order.recipient,
        "language": order.language,
        "subject": order.subject,
        "body": order.body,
        "copy_to_manager": order.copy_to_manager,
        "with_extra_copy": bool(order.extra_copy),
        "extra_copy": order.extra_copy,
        "version": order.version,
    }


class ValidityForm(PlainForm):
    valid_until = forms.DateField(label=_("Nouvelle date de fin de validité"), widget=_day_input())
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, order: PaymentOrder, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = ZoneInfo(order.shop.company.time_zone)
        today = timezone.now().astimezone(zone).date()
        last = today + timedelta(days=MAX_VALIDITY_DAYS)
        field = self.fields["valid_until"]
        field.widget.attrs.update({"min": today.isoformat(), "max": last.isoformat()})
        field.help_text = gettext("Jusqu'à la fin de ce jour ; au plus tard le %(last)s.") % {"last": times.day(last)}


class TemplateForm(PlainForm):
    name = forms.CharField(label=pgettext_lazy("of a thing", "Nom"), max_length=100)
    language = forms.ChoiceField(label=_("Langue"), choices=Language.choices)
    subject = forms.CharField(label=_("Objet"), max_length=200)
    body = forms.CharField(label=_("Message"), max_length=5000, widget=forms.Textarea(attrs={"rows": 12}))
    is_default = forms.BooleanField(
        label=_("Modèle par défaut"),
        required=False,
        help_text=_("Proposé à chaque nouvel ordre dans cette langue ; il remplace le modèle par défaut précédent."),
    )
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    SAVED = ("name", "language", "subject", "body", "is_default")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["body"].help_text = placeholder_help()


class SearchForm(forms.Form):
    """The search tool, in the URL. Values that make no sense count as absent."""

    q = forms.CharField(max_length=254, required=False)
    mode = forms.ChoiceField(choices=Mode.choices, required=False)
    shop = forms.CharField(max_length=8, required=False)
    channel = forms.ChoiceField(choices=[("", _("Tous")), *PaymentOrder.Channel.choices], required=False)
    status = forms.ChoiceField(choices=[("", _("Tous")), *PaymentOrder.Status.choices], required=False)
    sending = forms.ChoiceField(choices=[("", _("Tous")), *SendState.choices], required=False)
    created_from = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    created_until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    expires_from = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    expires_until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    amount_min = forms.CharField(max_length=20, required=False)
    amount_max = forms.CharField(max_length=20, required=False)

    MORE = ("created_from", "created_until", "expires_from", "expires_until", "amount_min", "amount_max")

    def value(self, name: str) -> Any:
        self.is_valid()
        return self.cleaned_data.get(name) or ""

    @property
    def wanted_mode(self) -> str:
        return self.value("mode") or Mode.PRODUCTION

    def is_active(self) -> bool:
        return any(self.value(name) for name in self.fields if name != "mode") or bool(self.amount_problems())

    def shows_more(self) -> bool:
        return any(self.value(name) for name in self.MORE) or bool(self.amount_problems())

    def search(self) -> Search:
        since, until = self._day("created_from"), self._day("created_until")
        return Search(
            q=self.value("q"),
            mode=self.wanted_mode,
            shop=self.value("shop"),
            channel=self.value("channel"),
            state=self.value("status"),
            sending=self.value("sending"),
            created_from=_midnight(since) if since else None,
            created_until=_midnight(until + timedelta(days=1)) if until else None,
            expires_from=self._day("expires_from"),
            expires_until=self._day("expires_until"),
            amount_min=self.cleaned_data.get("amount_min"),
            amount_max=self.cleaned_data.get("amount_max"),
        )

    def clean_amount_min(self) -> Decimal | None:
        return self._amount("amount_min")

    def clean_amount_max(self) -> Decimal | None:
        return self._amount("amount_max")

    def _amount(self, name: str) -> Decimal | None:
        """An amount in any currency; an ambiguous one filters nothing and is asked about."""
        typed = self.cleaned_data[name]
        try:
            return amounts.parse(typed, "", places=3) if typed else None
        except amounts.InvalidAmount as error:
            raise ValidationError(str(error)) from error

    def amount_problems(self) -> dict[str, str]:
        self.is_valid()
        return {name: str(self.errors[name][0]) for name in ("amount_min", "amount_max") if name in self.errors}

    def _day(self, name: str) -> date | None:
        # Days at the ends of the calendar cannot be moved between time zones.
        day = self.value(name)
        return day if day and 1970 < day.year < 3000 else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


class ProblemForm(PlainForm):
    """« Signaler un problème »: what a buyer writes. `website` is a trap that people do not see."""

    name = forms.CharField(label=_("Votre nom"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = OneEmailFormField(
        label=_("Votre adresse e-mail"),
        max_length=254,
        help_text=_("La boutique vous répondra à cette adresse."),
    )
    message = forms.CharField(
        label=_("Votre message"),
        max_length=3000,
        widget=forms.Textarea(attrs={"rows": 7}),
        help_text=_("3 000 caractères au plus. N'écrivez jamais un numéro de carte."),
    )
    website = forms.CharField(
        label=_("Laissez ce champ vide"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "tabindex": "-1"}),
    )
    form = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].widget.attrs["autocomplete"] = "email"

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable() and (hidden := characters.first_hidden(name)):
            raise ValidationError(
                _("Le nom tient sur une ligne, sans caractère de contrôle : retirez %(code)s."),
                params={"code": characters.name(hidden)},
            )
        return name

    def clean_website(self) -> str:
        if self.cleaned_data["website"]:
            raise ValidationError(_("Un champ invisible a été rempli : videz-le, puis envoyez de nouveau."))
        return ""
