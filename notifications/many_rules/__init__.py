"""Many rules in one save: a rule copied to other shops, an address added to rules or taken out of them.

May import `rules`, whose service of one rule does each write, and `tables`.
"""
