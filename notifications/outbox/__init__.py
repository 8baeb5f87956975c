"""Sending: claims with a lease, workers of mail and of calls, results, pauses, limits, breakers, work by hand.

May import `health`, `mail`, `calls`, `events` and models; the journal and the pages of staff import it.
"""
