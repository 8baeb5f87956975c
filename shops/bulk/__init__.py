"""« Modifier en masse »: the settings of many shops, written to a CSV file, read from one, and saved at once.

May import the services of the app and `notifications.tables`, for what changes.
"""
