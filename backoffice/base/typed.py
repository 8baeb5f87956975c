"""Bases of the framework that are generic for the type checker and plain when the program runs.

`forms.ModelForm[Any]` cannot be written as a base class: the framework's own classes take no parameters.
"""

from typing import TYPE_CHECKING, Any

from django import forms
from django.db import models

if TYPE_CHECKING:
    CharField = models.CharField[Any, str]
    TextField = models.TextField[Any, str]
    URLField = models.URLField[Any, str]
    ModelForm = forms.ModelForm[Any]
else:
    CharField = models.CharField
    TextField = models.TextField
    URLField = models.URLField
    ModelForm = forms.ModelForm

__all__ = ["CharField", "ModelForm", "TextField", "URLField"]
