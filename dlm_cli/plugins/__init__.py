"""dlm plugins, and loading plugins for the other commands."""
