"""Notification rules: lists, « Gérer la règle », the wizard, conditions, contents of mails, trials; writes of one rule.

May import `tables`, `health` and `events`, not the outbox.
"""
