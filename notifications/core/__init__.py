"""The rules of docs/rules.md as functions: catalogue, facts, resolver, retry, templating, wording.

Pure: no database, no settings, no clock. May import `backoffice.text` only.
"""
