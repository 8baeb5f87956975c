"""The search page of the staff site, the list of what waits for staff, and the summary above the page of a company.

May import reads of all apps; the staff site imports it.
"""
