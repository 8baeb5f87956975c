"""Pages of Paramétrage > Boutique. Paths are those of the interface description."""

from django.urls import include, path

from shops import views
from shops.bulk import views as bulk_views
from shops.contracts import views as contract_views
from shops.keys import views as key_views

urlpatterns = [
    path("settings/shops/", views.shops, name="shops"),
    path("settings/shops/bulk/", bulk_views.shops_bulk, name="shops_bulk"),
    path("settings/shops/new/", views.shop_new, name="shop_new"),
    # The same choice of a shop, for the menu entries of its other tabs.
    path("settings/shops/keys/", views.shops, {"tab": "keys"}, name="shops_keys"),
    path("settings/shops/contracts/", views.shops, {"tab": "contracts"}, name="shops_contracts"),
    path("settings/shops/data-form/", views.shops, {"tab": "data-form"}, name="shops_data_form"),
    path("settings/shops/<str:site_id>/configuration/", views.configuration, name="shop_configuration"),
    path("settings/shops/<str:site_id>/keys/", key_views.keys, name="shop_keys"),
    path("settings/shops/<str:site_id>/keys/tests-done/", key_views.tests_done, name="shop_tests_done"),
    path("settings/shops/<str:site_id>/keys/<slug:name>/", key_views.generate, name="shop_key_generate"),
    path("settings/shops/<str:site_id>/keys/<slug:name>/show/", key_views.show, name="shop_key_show"),
    path("settings/shops/<str:site_id>/contracts/", contract_views.contracts, name="shop_contracts"),
    path("settings/shops/<str:site_id>/contracts/new/", contract_views.contract_edit, name="contract_new"),
    path("settings/shops/<str:site_id>/contracts/<int:key>/", contract_views.contract_edit, name="contract_edit"),
    path(
        "settings/shops/<str:site_id>/contracts/<int:key>/remove/",
        contract_views.contract_remove,
        name="contract_remove",
    ),
    path("settings/company/authentication/", contract_views.authentication, name="authentication"),
    path(
        "settings/company/authentication/<int:key>/activate/",
        contract_views.three_d_secure_activate,
        name="three_d_secure_activate",
    ),
    path("", include("notifications.rules.urls")),
    path("", include("shops.orders.urls")),
    path("", include("shops.billing.urls")),
    path("", include("shops.dataforms.urls")),
]
