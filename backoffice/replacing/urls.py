"""Pages that change many settings at once, and take it back."""

from django.urls import path

from backoffice.replacing import views
from backoffice.undoing import views as undo_views

urlpatterns = [
    path("notifications/addresses/replace/", views.address_replace, name="address_replace"),
    path("notifications/addresses/undo/<str:token>/", undo_views.undo, name="undo"),
]
