"""Finding what others offer: hooks, registry, loading."""
