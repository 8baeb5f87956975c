"""Template tags of data collection forms: fields and states in words."""

from django import template
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.base.shell import badge
from shops import dataform_content as content
from shops.dataform_content import FormField
from shops.models import DataFormVersion

register = template.Library()

State = DataFormVersion.State
_STATES = {
    State.REQUESTED: "wait",
    State.LIVE: "ok",
    State.REFUSED: "fail",
    State.REPLACED: "off",
    State.WITHDRAWN: "off",
    State.CANCELLED: "off",
}


@register.simple_tag
def version_badge(version: DataFormVersion) -> SafeString:
    return badge(_STATES[State(version.state)], version.get_state_display())


@register.simple_tag
def kind_label(item: FormField) -> str:
    return str(content.KINDS[item.kind].label)


@register.simple_tag
def field_summary(item: FormField) -> str:
    """The options of a field that differ from nothing, in one line."""
    parts = [str(content.KINDS[item.kind].label)]
    if item.is_own:
        parts.append(_("champ à vous"))
    if item.min_length and item.max_length:
        parts.append(_("%(min)d à %(max)d caractères") % {"min": item.min_length, "max": item.max_length})
    elif item.min_length:
        parts.append(
            ngettext("%(n)d caractère au moins", "%(n)d caractères au moins", item.min_length) % {"n": item.min_length}
        )
    elif item.max_length:
        parts.append(
            ngettext("%(n)d caractère au plus", "%(n)d caractères au plus", item.max_length) % {"n": item.max_length}
        )
    if item.confirm:
        parts.append(_("à confirmer"))
    if item.hint:
        parts.append(_("avec infobulle"))
    return " · ".join(parts)
