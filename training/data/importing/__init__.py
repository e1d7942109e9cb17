"""Records → what they mean: which column plays which role, dates, ticket states, and the traps of exports."""
