"""Nets that several controls share: the tagger, and words given tags or trees."""
