"""Requests and recipes: what is asked, as files."""
