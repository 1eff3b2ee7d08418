"""dlm generate: what is asked (options), running it (job), saying so (describe)."""
