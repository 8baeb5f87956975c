"""Paths of payment orders: the merchant's under /payment-orders/, the buyer's under /orders/."""

from django.urls import path

from shops.orders import action_views, form_views, public, template_views, views

_TEMPLATES = "payment-orders/templates/<str:site_id>/"

urlpatterns = [
    path("payment-orders/", views.orders, name="payment_orders"),
    path("payment-orders/new/", form_views.order_new, name="payment_order_new"),
    path("payment-orders/preview/<str:site_id>/", form_views.order_preview, name="payment_order_preview"),
    path("payment-orders/templates/", template_views.templates, name="payment_order_templates"),
    path(f"{_TEMPLATES}new/", template_views.template_edit, name="payment_order_template_new"),
    path(f"{_TEMPLATES}<int:key>/", template_views.template_edit, name="payment_order_template"),
    path(
        f"{_TEMPLATES}<int:key>/duplicate/", template_views.template_duplicate, name="payment_order_template_duplicate"
    ),
    path(f"{_TEMPLATES}<int:key>/delete/", template_views.template_delete, name="payment_order_template_delete"),
    path("payment-orders/<uuid:key>/", views.order, name="payment_order"),
    path("payment-orders/<uuid:key>/edit/", form_views.order_edit, name="payment_order_edit"),
    path("payment-orders/<uuid:key>/validity/", action_views.order_validity, name="payment_order_validity"),
    path("payment-orders/<uuid:key>/resend/", action_views.order_resend, name="payment_order_resend"),
    path("payment-orders/<uuid:key>/cancel/", action_views.order_cancel, name="payment_order_cancel"),
    path("payment-orders/<uuid:key>/reactivate/", action_views.order_reactivate, name="payment_order_reactivate"),
    path("payment-orders/<uuid:key>/handed-over/", action_views.order_handed_over, name="payment_order_handed_over"),
    path("orders/<str:token>/", public.order, name="payment_order_public"),
    path("orders/<str:token>/pay/", public.pay, name="payment_order_pay"),
    path("orders/<str:token>/problem/", public.problem, name="payment_order_problem"),
    path("orders/<str:token>/problem/done/", public.problem_done, name="payment_order_problem_done"),
]
