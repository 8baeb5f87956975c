"""The steps of a form that shows who gains and loses what before it saves."""

from collections.abc import Callable
from dataclasses import dataclass

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from backoffice.base.forms import add_errors, carry, only_asks, wants_part
from companies.audit import StaleVersion
from notifications.tables import effects
from notifications.tables.effects import EffectPanel, GapQuestion


@dataclass(frozen=True)
class Submitted:
    """What became of a form.

    Attributes:
        response: the answer to give; None where the page is shown, with the other two.
        effect: the panel « Ce qui change ».
        question: what is asked before critical gaps open.
    """

    response: HttpResponse | None = None
    effect: EffectPanel = effects.EMPTY
    question: GapQuestion | None = None


def submitted(
    request: HttpRequest,
    form: forms.BaseForm,
    *,
    effect: Callable[[], EffectPanel],
    save: Callable[[], HttpResponse],
    seen: Callable[[], str],
) -> Submitted:
    """Show what a form would change, or save it. What the save refuses is added to the form's errors.

    Args:
        form: with a field `seen`, the stamp of the objects that the page was opened on; unbound on a GET.
        effect: computes the panel; called on a valid form only.
        save: saves and answers. It may raise StaleVersion, effects.Unconfirmed or ValidationError, having kept nothing.
        seen: the stamp of the objects as they are now; the form carries it after a StaleVersion.
    """
    if request.method != "POST":
        return Submitted()
    valid = form.is_valid()
    if only_asks(request):
        shown = effect() if valid else effects.refused()
        return Submitted(effects.panel_alone(request, shown) if wants_part(request) else None, shown)
    if not valid:
        return Submitted()
    try:
        return Submitted(save())
    except StaleVersion as error:
        form.add_error(None, error)
        carry(form, seen=seen())
    except effects.Unconfirmed as error:
        # Before its errors take values out of the form.
        shown = effect()
        add_errors(form, error)
        return Submitted(effect=shown, question=error.question)
    except ValidationError as error:
        add_errors(form, error)
    return Submitted()
