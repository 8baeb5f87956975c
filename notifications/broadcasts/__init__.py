"""Letters of information and incident messages to many companies, and the public pages of status and unsubscribing.

May import `outbox`, `mail` and `events`.
"""
