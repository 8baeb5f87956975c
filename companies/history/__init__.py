"""The history of changes: entries as a user may read them, their sentences, database guard, seals, and stale forms.

May import models and rights. It is written by `companies/audit.py`.
"""
