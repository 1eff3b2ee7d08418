"""The `dlm` command line: parse, call, print. Importing it costs no torch."""
