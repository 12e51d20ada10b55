"""Small programs of the workshop: they make files of this repository and are run from the Makefile only."""
