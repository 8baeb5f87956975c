"""The fault laboratory: faults with names, what they are done to, and a checker that believes nobody.

`make faults` runs all of it and writes docs/reliability.md. A part runs with the tests (`test_faults.py`). Nothing here
imports the product but `zygote.py` and `seed.py`, which run in processes of their own.
"""
