"""pos: the part of speech of each word."""
