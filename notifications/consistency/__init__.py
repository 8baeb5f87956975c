"""Consistency reports: runs of the checks over a company, their mail, and the page of reports.

May import `checks`, facts and `events`.
"""
