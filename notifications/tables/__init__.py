"""The delivery tables, what a change of settings gains and loses (« Ce qui change »), comparisons; pages and files.

May import facts, `timeline` and `notifications.core`; every page that saves settings imports it.
"""
