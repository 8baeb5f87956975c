"""`{% csrf_token %}` with the identity of the form beside it; a builtin, so that no form is without."""

from typing import Any

from django import template
from django.template.base import Node, Parser, Token
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html
from django.utils.safestring import SafeString

from companies.submissions import FIELD, new_identity

register = template.Library()


@register.simple_tag
def form_identity() -> SafeString:
    """The identity alone, for a form that needs no token."""
    # Some browsers put back after a reload what a hidden field held before.
    return format_html('<input type="hidden" name="{}" value="{}" autocomplete="off">', FIELD, new_identity())


class FormIdentityNode(CsrfTokenNode):
    """Renders both hidden fields, where there is a token to render."""

    def render(self, context: Context) -> Any:
        token = super().render(context)
        return token + form_identity() if token else token


@register.tag
def csrf_token(parser: Parser, token: Token) -> Node:
    return FormIdentityNode()
