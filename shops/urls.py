"""Pages of Paramétrage > Boutique. Paths are those of the interface description."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("settings/shops/", views.shops, name="shops"),
    path("settings/shops/<str:site_id>/configuration/", views.configuration, name="shop_configuration"),
    path("", include("notifications.rule_urls")),
]
