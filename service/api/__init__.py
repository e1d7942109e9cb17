"""The REST API: schemas, parsing of request bodies, conversion, and routes."""
