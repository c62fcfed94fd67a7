"""Examples of bodies and answers, for the OpenAPI document."""

from typing import cast

from pydantic import ConfigDict, JsonValue


def example(*shown: dict[str, object]) -> ConfigDict:
    """The `model_config` of a model that shows these."""
    return ConfigDict(json_schema_extra={"examples": cast(list[JsonValue], [*shown])})
