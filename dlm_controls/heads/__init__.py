"""Nets that several controls share: the writer and the tagger."""
