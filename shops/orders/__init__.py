"""Gestion > Ordres de paiement: what a shop asks a buyer to pay; pages, services, the pages of the buyer.

May import models, rights and `notifications.events`, to announce what happens.
"""
