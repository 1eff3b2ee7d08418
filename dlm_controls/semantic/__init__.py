"""semantic: a fact in its field."""
