"""What each role may do: the one place in code that says so."""

from .models import Role

VIEW = "view"
EDIT_SETTINGS = "edit_settings"
MANAGE_RULES = "manage_rules"
MANAGE_KEYS = "manage_keys"
RESEND = "resend"
MANAGE_PAYMENT_ORDERS = "manage_payment_orders"
MANAGE_COMPANY = "manage_company"
MANAGE_USERS = "manage_users"

_VIEWER = frozenset({VIEW})
_MANAGER = _VIEWER | {EDIT_SETTINGS, MANAGE_RULES, RESEND, MANAGE_PAYMENT_ORDERS}
_ADMINISTRATOR = _MANAGER | {MANAGE_KEYS, MANAGE_COMPANY, MANAGE_USERS}

PERMISSIONS: dict[str, frozenset[str]] = {
    Role.VIEWER: _VIEWER,
    Role.MANAGER: _MANAGER,
    Role.ADMINISTRATOR: _ADMINISTRATOR,
}
