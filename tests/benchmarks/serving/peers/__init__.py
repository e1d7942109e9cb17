"""The other servers, each written as its own documentation advises. Their files run in their own environments."""
