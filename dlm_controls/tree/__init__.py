"""tree and span: constituents."""
