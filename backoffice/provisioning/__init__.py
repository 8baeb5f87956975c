"""Settings of companies as documents: applied, planned, exported (docs/rules.md 7.3).

May import the services of all apps; the commands and the settings API import it.
"""
