"""The other servers, each written as its own documentation recommends. They run in their own environments."""
