"""The frame of every page, out of all apps: home, menu, middleware, the staff site, system checks, re-encryption.

May import every room; only settings, URLs and one command import it.
"""
