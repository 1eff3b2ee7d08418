"""How a run looks: one page of HTML that needs nothing beside itself."""
