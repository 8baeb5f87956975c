"""The coverage in words, in the active language: states, letters, what to do."""

from fractions import Fraction

from django.utils.encoding import force_str
from django.utils.translation import get_language, gettext_lazy, ngettext, pgettext_lazy

from notifications.core.catalogue import BY_CODE, Scope, Source
from notifications.core.coverage import Cell, CoverageState, Fix

STATE_LABELS = {
    CoverageState.NOBODY: gettext_lazy("personne"),
    CoverageState.NOBODY_ON_PURPOSE: gettext_lazy("personne, par choix"),
    CoverageState.OFF: gettext_lazy("désactivé"),
    CoverageState.UNVERIFIED: gettext_lazy("aucune adresse vérifiée"),
    CoverageState.SINGLE: gettext_lazy("une seule adresse"),
    CoverageState.COVERED: gettext_lazy("deux adresses ou plus"),
}
# One letter a state, so that colours never stand alone.
LETTERS = {
    CoverageState.NOBODY: pgettext_lazy("coverage letter", "P"),
    CoverageState.NOBODY_ON_PURPOSE: pgettext_lazy("coverage letter", "V"),
    CoverageState.OFF: pgettext_lazy("coverage letter", "D"),
    CoverageState.UNVERIFIED: pgettext_lazy("coverage letter", "N"),
    CoverageState.SINGLE: pgettext_lazy("coverage letter", "U"),
    CoverageState.COVERED: pgettext_lazy("coverage letter", "C"),
}
ACCEPTED_LETTER = pgettext_lazy("coverage letter", "A")
ACCEPTED_LABEL = gettext_lazy("personne, manque accepté")
_NO_RULE = gettext_lazy("désactivé, aucune règle")

_ADVICE = {
    CoverageState.NOBODY: gettext_lazy("Indiquez une adresse : personne n'est prévenu."),
    CoverageState.UNVERIFIED: gettext_lazy("Faites vérifier une adresse."),
    CoverageState.SINGLE: gettext_lazy(
        "Ajoutez une seconde adresse : une boîte pleine ou un départ suffit à tout perdre."
    ),
}
# Where the second address cannot be added beside the first, because the place holds exactly one.
_ADVICE_OF_ONE = gettext_lazy("Une seule adresse possible ici : choisissez une boîte que plusieurs personnes lisent.")
# The copy goes to the Contact gestionnaire, if that is another address.
_ADVICE_OF_COPY = gettext_lazy(
    "Donnez à la boutique une autre adresse que celle du Contact gestionnaire : les deux recevront."
)


def letter(cell: Cell) -> str:
    return force_str(ACCEPTED_LETTER if cell.is_accepted else LETTERS[cell.state])


def state_words(state: CoverageState, *, is_accepted: bool = False) -> str:
    return force_str(ACCEPTED_LABEL if is_accepted else STATE_LABELS[state])


def cell_words(cell: Cell) -> str:
    """The state of a cell, with the number of addresses where that says more."""
    if cell.is_without_rule:
        return force_str(_NO_RULE)
    if cell.state is CoverageState.COVERED:
        return ngettext("%(n)d adresse", "%(n)d adresses", cell.addresses) % {"n": cell.addresses}
    return state_words(cell.state, is_accepted=cell.is_accepted)


def advice(fix: Fix) -> str:
    """What would mend the cells of a fix."""
    row = BY_CODE[fix.notification]
    if fix.state is CoverageState.SINGLE and row.scope is not Scope.RULE and row.to is not Source.INCIDENT_CONTACT:
        return force_str(_ADVICE_OF_COPY if row.cc else _ADVICE_OF_ONE)
    return force_str(_ADVICE[fix.state])


def points_text(points: Fraction) -> str:
    """A number of points with at most one decimal, in the notation of the language."""
    text = f"{float(points):.1f}".removesuffix(".0")
    return text.replace(".", ",") if get_language() == "fr" else text


def credit_text(credit: Fraction) -> str:
    return points_text(credit)
