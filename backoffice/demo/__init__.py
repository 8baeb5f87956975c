"""The data of `manage.py demo`: a merchant with a month of history, written through the services of all apps.

May import every room; only the command imports it.
"""
