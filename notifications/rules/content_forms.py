"""Form of what the mails of a rule say, in one language."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.forms import PlainForm, section
from notifications.core import templating
from notifications.mail.default_texts import Text, default_text
from notifications.models import NotificationRule


class ContentForm(PlainForm):
    """Subject and body of one language, and the fields to include, which all languages share.

    A text that is empty or the same as a default one is not personalised.
    """

    subject = forms.CharField(
        label=_("Objet"),
        max_length=limits.LONGEST_TEXT,
        required=False,
        help_text=_("En mode TEST, « [TEST] » précède l'objet. Vide : l'objet par défaut."),
    )
    body = forms.CharField(
        label=_("Corps"),
        max_length=limits.LONGEST_TEXT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 14}),
        help_text=_(
            "Une ligne vide sépare deux paragraphes ; le premier sert de titre s'il tient sur une ligne. "
            "Vide : le corps par défaut."
        ),
    )
    fields_included = forms.MultipleChoiceField(
        label=_("Champs à inclure"), required=False, widget=forms.CheckboxSelectMultiple
    )
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, rule: NotificationRule, language: str, trigger: str, **kwargs: Any) -> None:
        self.rule, self.language = rule, language
        self.default = default_text(rule.type, trigger, language)
        own = rule.email_texts.get(language, {})
        self.listed = templating.listed_fields(rule.type)
        kwargs["initial"] = {
            "subject": own.get("subject") or self.default.subject,
            "body": own.get("body") or self.default.body,
            "fields_included": [field.code for field in templating.chosen_fields(rule.type, rule.email_fields)],
            "version": rule.version,
        }
        super().__init__(*args, **kwargs)
        choices = [(field.code, field.label) for field in self.listed]
        self.fields["fields_included"].choices = choices  # type: ignore[attr-defined]
        self.helper = section("subject", "body", "version")

    def clean_subject(self) -> str:
        return self._checked("subject", templating.check_subject)

    def clean_body(self) -> str:
        return self._checked("body", templating.check_body)

    def _checked(self, name: str, check: Any) -> str:
        try:
            text: str = check(self.rule.type, self.cleaned_data[name])
        except templating.TextError as error:
            raise ValidationError(str(error)) from error
        return "" if any(text == getattr(default, name) for default in self._defaults()) else text

    def _defaults(self) -> list[Text]:
        return [default_text(self.rule.type, trigger, self.language) for trigger in self.rule.triggers]

    def saved(self) -> dict[str, Any]:
        """The columns of NotificationRule to store."""
        own = {part: self.cleaned_data[part] for part in templating.PARTS if self.cleaned_data[part]}
        return {
            "email_texts": {**self.rule.email_texts, self.language: own},
            "email_fields": templating.check_fields(
                self.rule.type, [row["field"].code for row in self.rows() if row["chosen"]]
            ),
        }

    def rows(self) -> list[dict[str, Any]]:
        """The fields as they stand on the page: in the order of the form, chosen ones ticked."""
        chosen = self["fields_included"].value() or []
        shown = self.data.getlist("rows") if self.is_bound and hasattr(self.data, "getlist") else []
        known = {field.code: field for field in self.listed}
        order = list(dict.fromkeys(code for code in (*(shown or chosen), *known) if code in known))
        move, _sep, code = (self.data.get("move", "") if self.is_bound else "").partition(":")
        if code in order and move in ("up", "down"):
            place = order.index(code)
            other = max(place - 1, 0) if move == "up" else min(place + 1, len(order) - 1)
            order[place], order[other] = order[other], order[place]
        return [{"field": known[code], "chosen": code in chosen} for code in order]
