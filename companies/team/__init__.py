"""Paramétrage > Société > Utilisateurs, Droits par boutique and Comptes SFTP: pages, forms and services.

May import the rooms of rights and history, and `notifications.tables` for what an account receives.
"""
