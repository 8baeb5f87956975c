"""What each mail says: one function per catalogue row, registered by its code.

A module per subject; a new one is imported here.
"""

from notifications.mail.composers import accounts, billing, calls, data_form, orders, platform, reports, rules, shops
from notifications.mail.composers.base import COMPOSERS

__all__ = ["COMPOSERS", "accounts", "billing", "calls", "data_form", "orders", "platform", "reports", "rules", "shops"]
