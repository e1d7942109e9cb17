"""Raw RFC 822 bytes → Ticket."""
