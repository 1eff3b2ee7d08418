"""The `dlm` command line."""
