"""Forms of « Jetons d'API »."""

from datetime import timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backoffice.base.forms import PlainForm, section
from backoffice.text import times
from notifications.models import ApiToken

# days → label. No token of a merchant is without end: a forgotten one ends by itself.
LIFETIMES = {30: _("30 jours"), 90: _("90 jours"), 365: _("1 an"), 730: _("2 ans")}
USUAL_LIFETIME = 365


class LifetimeForm(PlainForm):
    """How long a new token is good for; the choices say the day."""

    lifetime = forms.TypedChoiceField(
        label=_("Durée de validité"),
        coerce=int,
        help_text=_("Trente jours avant la fin, cette page et le rapport de consistance le rappellent."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {})
        kwargs["initial"] = {"lifetime": USUAL_LIFETIME, **kwargs["initial"]}
        super().__init__(*args, **kwargs)
        today = timezone.localdate()
        self.fields["lifetime"].choices = [  # type: ignore[attr-defined]
            (days, f"{label} ({times.short_day(today + timedelta(days=days))})") for days, label in LIFETIMES.items()
        ]
        self.helper = section(*self.fields)


class TokenForm(LifetimeForm):
    """A new token of a company."""

    name = forms.CharField(
        label=_("Nom du programme"),
        max_length=100,
        help_text=_("Ce qui l'utilise et où, par exemple « ERP, serveur de Lyon » : c'est ce que la liste montre."),
    )
    scopes = forms.MultipleChoiceField(
        label=_("Ce qu'il peut faire"),
        choices=ApiToken.Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Ne cochez que ce dont le programme a besoin."),
        error_messages={"required": _("Choisissez au moins une portée.")},
    )
    field_order = ("name", "scopes", "lifetime")

    @classmethod
    def typed_before(cls, query: QueryDict) -> dict[str, Any]:
        """What a page that opens again shows: values of its address that the form would take."""
        scopes = [code for code in query.getlist("scopes") if code in ApiToken.Scope.values]
        lifetime = next((days for days in LIFETIMES if str(days) == query.get("lifetime")), USUAL_LIFETIME)
        return {"name": query.get("name", "")[:100], "scopes": scopes, "lifetime": lifetime}


class TokensFilter(forms.Form):
    """Filters of the list, bound to the query string; refused values count as absent."""

    q = forms.CharField(max_length=100, required=False)
    state = forms.ChoiceField(choices=[("", _("Tous")), *ApiToken.State.choices], required=False)

    def values(self) -> dict[str, str]:
        self.is_valid()
        return {name: str(self.cleaned_data.get(name) or "").strip() for name in self.fields}
