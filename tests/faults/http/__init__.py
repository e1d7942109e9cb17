"""HTTP: hostile requests and connections, the protocol class alone, and the OpenAPI document."""
