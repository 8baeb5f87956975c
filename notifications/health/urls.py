"""What is done about the health of an address."""

from django.urls import path

from notifications.health import views

urlpatterns = [
    path("notifications/addresses/verify/", views.address_verify, name="address_verify"),
    path("notifications/addresses/reactivate/", views.address_reactivate, name="address_reactivate"),
    path("verify/<str:token>/", views.verify_address, name="verify_address"),
]
