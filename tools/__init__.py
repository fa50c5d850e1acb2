"""What the agent can do: train, measure, select, annotate, filter, judge, stop."""
