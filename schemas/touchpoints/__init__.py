"""One module a family of events; a class here is in the catalogue, and nothing else has to be changed.

The first line of a module names the family, up to the colon, and says what it is about: documentation shows it.
"""
