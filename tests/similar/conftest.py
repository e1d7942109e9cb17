from tests.records.conftest import postgres, postgres_url, records

__all__ = ["postgres", "postgres_url", "records"]
