"""Helpdesk export → rows to learn from: read, check, clean, remove duplicates, split."""
