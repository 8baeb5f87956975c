"""The form « Remplacer ou retirer cette adresse »."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.fields import OneEmailFormField
from backoffice.base.forms import PlainForm, section
from backoffice.replacing.places import Place
from companies import audit

REPLACE, REMOVE = "replace", "remove"


def stamp_of(places: Sequence[Place]) -> str:
    """What the page was opened on: where the address stood, and beside what."""
    return audit.stamp(*((place.role, place.value) for place in places))


class ReplaceForm(PlainForm):
    """Where an address is replaced or removed, and by what.

    Args:
        places: those that the user may change.
        asked: what a link to the page proposes: `what`, and each `place`.
    """

    what = forms.ChoiceField(
        label=_("Que faire"),
        choices=[(REPLACE, _("La remplacer")), (REMOVE, _("La retirer"))],
        initial=REPLACE,
        widget=forms.RadioSelect,
    )
    new = OneEmailFormField(label=_("Nouvelle adresse"), max_length=254, required=False)
    places = forms.MultipleChoiceField(label=_("Où"), widget=forms.CheckboxSelectMultiple)
    notify = forms.BooleanField(label=_("Prévenir les deux adresses par e-mail"), required=False)
    seen = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput)

    def __init__(self, *args: Any, places: Sequence[Place], asked: QueryDict | None = None, **kwargs: Any) -> None:
        given = asked or QueryDict()
        roles = [place.role for place in places]
        named = [role for role in roles if role in given.getlist("place")]
        what = REMOVE if given.get("what") == REMOVE else REPLACE
        kwargs["initial"] = {"what": what, "places": named or roles, "notify": True, "seen": stamp_of(places)}
        super().__init__(*args, **kwargs)
        self.fields["places"].choices = [(place.role, place.label) for place in places]  # type: ignore[attr-defined]
        self.helper = section("what", "new", "places", "notify", "seen")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("what") == REPLACE and not data.get("new") and "new" not in self.errors:
            self.add_error("new", gettext("Indiquez l'adresse qui prend sa place, ou choisissez de la retirer."))
        return data

    @property
    def new_address(self) -> str | None:
        """None to remove."""
        return self.cleaned_data["new"] if self.cleaned_data["what"] == REPLACE else None
