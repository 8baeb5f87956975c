"""The processes that send: the loop, the supervisor of several, the tasks and the clock of Celery.

May import every queue (`outbox`, `broadcasts`, `consistency`, `sending`); only commands import it.
"""
