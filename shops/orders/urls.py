"""Paths of payment orders: the merchant's under /payment-orders/, the buyer's under /orders/."""

from django.urls import path

from . import public, views

_TEMPLATES = "payment-orders/templates/<str:site_id>/"

urlpatterns = [
    path("payment-orders/", views.orders, name="payment_orders"),
    path("payment-orders/new/", views.order_new, name="payment_order_new"),
    path("payment-orders/preview/<str:site_id>/", views.order_preview, name="payment_order_preview"),
    path("payment-orders/templates/", views.templates, name="payment_order_templates"),
    path(f"{_TEMPLATES}new/", views.template_edit, name="payment_order_template_new"),
    path(f"{_TEMPLATES}<int:key>/", views.template_edit, name="payment_order_template"),
    path(f"{_TEMPLATES}<int:key>/duplicate/", views.template_duplicate, name="payment_order_template_duplicate"),
    path(f"{_TEMPLATES}<int:key>/delete/", views.template_delete, name="payment_order_template_delete"),
    path("payment-orders/<uuid:key>/", views.order, name="payment_order"),
    path("payment-orders/<uuid:key>/edit/", views.order_edit, name="payment_order_edit"),
    path("payment-orders/<uuid:key>/validity/", views.order_validity, name="payment_order_validity"),
    path("payment-orders/<uuid:key>/resend/", views.order_resend, name="payment_order_resend"),
    path("payment-orders/<uuid:key>/cancel/", views.order_cancel, name="payment_order_cancel"),
    path("payment-orders/<uuid:key>/reactivate/", views.order_reactivate, name="payment_order_reactivate"),
    path("payment-orders/<uuid:key>/handed-over/", views.order_handed_over, name="payment_order_handed_over"),
    path("orders/<str:token>/", public.order, name="payment_order_public"),
    path("orders/<str:token>/pay/", public.pay, name="payment_order_pay"),
    path("orders/<str:token>/problem/", public.problem, name="payment_order_problem"),
    path("orders/<str:token>/problem/done/", public.problem_done, name="payment_order_problem_done"),
]
