"""Shops and what belongs to one shop: keys, contracts, payment orders, data collection forms, billing."""
