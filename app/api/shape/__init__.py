"""The shape of each answer, as the OpenAPI document says it."""
