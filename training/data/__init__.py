"""From a helpdesk's export to rows the network can learn from: read, check, clean, remove duplicates, split."""
