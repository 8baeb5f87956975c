"""What is wrong in the settings of a company and in its rules: facts in, findings out, and their sentences.

Pure. May import `backoffice.text`, `backoffice.base` and `notifications.core` only.
"""
