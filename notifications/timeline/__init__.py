"""The settings of every past moment: the record that triggers of the database write, and its reading as facts.

May import models and `notifications.settings_facts`.
"""
