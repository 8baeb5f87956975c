"""Which addresses mail reaches: refusals, notices of bounces and of providers, suppression, verification of an address.

May import `events` and what is below; the outbox and the services that save addresses import it.
"""
