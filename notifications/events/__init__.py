"""The way in: events read, validated and published as deliveries; who listens to them; the doorbell of the workers.

May import `mail`, `tables`, facts and models. It writes the outbox and sends nothing.
"""
