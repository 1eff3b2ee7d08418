"""From requests to texts: prepare, walk, round, judge, report."""
