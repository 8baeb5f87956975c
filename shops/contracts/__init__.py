"""Pages of the contracts (MID) of a shop, and Paramétrage > Société > Authentification.

May import services and selectors of the app, which write and read the contracts.
"""
