"""Commands of operators about companies and accounts. May import every room of the app."""
