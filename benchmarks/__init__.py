"""Each prints a ratio measured in one run; `make bench` and its parts."""
