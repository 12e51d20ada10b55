"""The rules, one file and one frozen class each, independent of one another. `policy/catalogue.py` lists them."""
