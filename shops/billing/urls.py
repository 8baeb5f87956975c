"""Paths of the merchant's billing pages."""

from django.urls import path

from shops.billing import views

urlpatterns = [
    path("billing/", views.documents, name="billing"),
    path("billing/<uuid:key>/", views.document, name="billing_document"),
    path("billing/<uuid:key>/download/", views.download, name="billing_download"),
]
