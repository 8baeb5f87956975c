"""Formats of dates and numbers by language, in the layout that Django reads (FORMAT_MODULE_PATH)."""
