"""The paper's tables and figures at this machine's scale: `python -m benchmarks.paper TABLE`."""
