"""Gestion > Facturation: prices, invoices and credit notes, their PDF; pages of merchants and of staff.

May import models, rights and `notifications.events`.
"""
