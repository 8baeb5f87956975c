"""Paramétrage > Boutique > Clés: pages of the test phase, of form and REST keys, of the signature algorithms.

May import services and selectors of the app, which write and read the keys.
"""
