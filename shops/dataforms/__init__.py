"""Data collection forms: built by the merchant, put online, filled in by buyers."""
