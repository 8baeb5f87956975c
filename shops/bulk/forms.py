"""The two forms of the page: the file, and the answer once its effect was seen."""

from django import forms
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.forms import PlainForm, section


class FileForm(PlainForm):
    """The file that comes back from the spreadsheet."""

    file = forms.FileField(label=_("Fichier CSV"), widget=forms.FileInput(attrs={"accept": ".csv"}))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.helper = section("file")


class SheetForm(PlainForm):
    """The rows as they were read, and the state of the shops they were compared with."""

    checks_characters = False

    content = forms.CharField(max_length=limits.LONGEST_ECHO, widget=forms.HiddenInput, strip=False)
    seen = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput)
