"""One file a helpdesk: how its calls are signed, where the ticket is in them, and which calls read and write one."""
