"""Ground of all apps: fields, forms, encryption, pages of lists, CSV files, limits, cache, logs, parts of pages.

May import `backoffice.text` only, never an app.
"""
