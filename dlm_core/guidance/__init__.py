"""How log p(c) moves a step (§5 of the paper)."""
