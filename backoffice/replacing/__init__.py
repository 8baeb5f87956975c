"""Replacing an address by another, or removing it, everywhere in the settings of a company: places, change, page.

May import the services of all apps and `backoffice.undoing`; only URLs and the command `address_replace` import it.
"""
