"""As `backoffice.base.typed`, for the pages of staff: models cannot import the admin of the framework."""

from typing import TYPE_CHECKING, Any

from django.contrib.admin import ModelAdmin as FrameworkModelAdmin
from django.contrib.admin import TabularInline as FrameworkTabularInline
from django.contrib.admin.options import BaseModelAdmin as FrameworkBaseModelAdmin

if TYPE_CHECKING:
    BaseModelAdmin = FrameworkBaseModelAdmin[Any]
    ModelAdmin = FrameworkModelAdmin[Any]
    TabularInline = FrameworkTabularInline[Any, Any]
else:
    BaseModelAdmin = FrameworkBaseModelAdmin
    ModelAdmin = FrameworkModelAdmin
    TabularInline = FrameworkTabularInline

__all__ = ["BaseModelAdmin", "ModelAdmin", "TabularInline"]
