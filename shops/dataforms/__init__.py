"""Data collection forms: built by the merchant, put online, filled in by buyers; pages, services, the buyer's page.

May import models, rights, `shops.orders` and `notifications.events`.
"""
