"""The journal: what was sent, its proof, searches and saved filters, resending, cancelling and replaying one or many.

May import `outbox`, `mail` and the readers.
"""
