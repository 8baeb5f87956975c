"""What people type and read: addresses, hosts, links, amounts, characters, currencies, times, targets of URLs.

Pure: functions of their arguments, without database, settings or clock. May import nothing of the product.
"""
