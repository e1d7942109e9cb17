"""What OpenTelemetry's OTEL_* variables may say. The SDK goes on without most that it cannot read, and only logs it.

`traces.py` asks before it opens `spans.py`. Nothing here needs OpenTelemetry.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    HttpUrl,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from models.bundle.manifest import Probability


def _whole(url: str) -> str:
    """`HttpUrl` repairs as browsers do (`http:host`); the exporter does not."""
    if not re.match(r"https?://[^/]", url, re.IGNORECASE):
        raise PydanticCustomError("url", "must be a whole URL of http or https, such as http://collector:4318")
    return url


def _pairs(text: str) -> str:
    if not all(re.match(r"\s*[^=\s]+\s*=", pair) for pair in text.split(",")):
        raise PydanticCustomError("pairs", "must be name=value, several with commas between them")
    return text


_Url = Annotated[HttpUrl, BeforeValidator(_whole)]
_Pairs = Annotated[str, AfterValidator(_pairs)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Lower = BeforeValidator(str.lower)
_Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
_EXPORTER: Mapping[str, Any] = {
    "ENDPOINT": _Url,
    "HEADERS": _Pairs,
    "PROTOCOL": Literal["http/protobuf"],
    "TIMEOUT": _Seconds,
    "COMPRESSION": Annotated[Literal["none", "gzip", "deflate"], _Lower],
    "CERTIFICATE": FilePath,
    "CLIENT_CERTIFICATE": FilePath,
    "CLIENT_KEY": FilePath,
}
_VARIABLES: Mapping[str, Any] = {
    "OTEL_SDK_DISABLED": Annotated[Literal["true", "false"], _Lower],
    **{f"OTEL_EXPORTER_OTLP_{name}": kind for name, kind in _EXPORTER.items()},
    **{f"OTEL_EXPORTER_OTLP_TRACES_{name}": kind for name, kind in _EXPORTER.items()},
    "OTEL_TRACES_SAMPLER": Annotated[_Sampler, _Lower],
    "OTEL_TRACES_SAMPLER_ARG": Probability,
    "OTEL_RESOURCE_ATTRIBUTES": _Pairs,
    "OTEL_BSP_MAX_QUEUE_SIZE": PositiveInt,
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": PositiveInt,
    "OTEL_BSP_SCHEDULE_DELAY": PositiveInt,
    "OTEL_BSP_EXPORT_TIMEOUT": PositiveInt,
}


def check_variables() -> None:
    """An empty one counts as not set, as OpenTelemetry wants it.

    Raises:
        ValueError: one has no valid value. The message names it, and not the value: a collector's key may be in it.
    """
    for name, kind in _VARIABLES.items():
        if value := os.environ.get(name):
            try:
                TypeAdapter(kind).validate_python(value)
            except ValidationError as error:
                raise ValueError(f"{name}: {error.errors()[0]['msg']}") from None
