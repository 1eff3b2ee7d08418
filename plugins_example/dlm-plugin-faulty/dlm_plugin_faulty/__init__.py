"""One module a fault; see README.md."""
