"""Personal data: support of an address, its export and erasure, retention and purging.

May import models, readers and `notifications.mail`; no page of merchants imports it.
"""
