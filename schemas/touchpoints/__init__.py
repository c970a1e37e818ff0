"""One module a family of events; a class here is in the catalogue, and nothing else has to be changed."""
