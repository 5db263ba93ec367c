"""Bodies and answers of the dialects as types, for the OpenAPI document: the routes read JSON field by field."""
