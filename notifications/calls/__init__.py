"""Calls to notification URLs: their fields, hash and signature, which URLs may be called, and the only door for HTTP.

May import models and `notifications.core`; the outbox sends what is made here.
"""
