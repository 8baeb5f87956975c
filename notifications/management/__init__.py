"""Commands of operators about events, deliveries and settings, and what they share. May import every room."""
