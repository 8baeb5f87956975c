"""Writes of payment orders: one transaction each, audited, announced through `publish`."""

from shops.orders.services.buyers import (
    Report,
    payment_event_recorded,
    payment_order_report_problem,
    payment_order_simulate,
    problem_already_reported,
)
from shops.orders.services.clock import payment_orders_tick
from shops.orders.services.orders import (
    MAX_RECIPIENTS,
    NewOrder,
    new_reference,
    payment_order_cancel,
    payment_order_create,
    payment_order_handed_over,
    payment_order_reactivate,
    payment_order_resend,
    payment_order_set_validity,
    payment_order_update,
)
from shops.orders.services.parts import sending_data
from shops.orders.services.templates import order_template_delete, order_template_duplicate, order_template_save

__all__ = [
    "MAX_RECIPIENTS",
    "NewOrder",
    "Report",
    "new_reference",
    "order_template_delete",
    "order_template_duplicate",
    "order_template_save",
    "payment_event_recorded",
    "payment_order_cancel",
    "payment_order_create",
    "payment_order_handed_over",
    "payment_order_reactivate",
    "payment_order_report_problem",
    "payment_order_resend",
    "payment_order_set_validity",
    "payment_order_simulate",
    "payment_order_update",
    "payment_orders_tick",
    "problem_already_reported",
    "sending_data",
]
