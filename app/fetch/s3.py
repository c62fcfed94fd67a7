"""s3:// URLs, in the buckets that the operator names.

The server is the operator's choice, so that its address does not pass the egress guard: buckets
are what is guarded here. Credentials come from the environment as AWS's tools take them; they are
neither stored nor said.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import ClientError as HttpError

from app.errors import PermanentError, TransientError
from app.fetch.s3_library import Body, Client, error_types, open_file_system, require_s3
from app.fetch.scheme import too_large

PIECE_BYTES: Final = 64 * 1024
MAX_KEY_BYTES: Final = 1_024  # of S3
CONNECTIONS: Final = 16
CONNECT_TIMEOUT_S: Final = 5

_URL: Final = re.compile(r"(?i:s3)://(?P<bucket>[^/\x00-\x20]+)/(?P<key>[^\x00-\x1f\x7f]+)")

_NO_BUCKETS: Final = (
    "s3:// URLs are off: the operator lists the buckets that they may read in WAYBILL_S3_BUCKETS"
)
_REFUSED: Final = "the s3:// URL names nothing in the buckets of WAYBILL_S3_BUCKETS"
_AWAY: Final = "S3 cannot be reached now"
_WRONG_SETTING: Final = (
    "S3 cannot be read: WAYBILL_S3_ENDPOINT_URL or WAYBILL_S3_REGION is not valid here"
)
_THROTTLED: Final = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException"})


@dataclass(frozen=True, slots=True)
class S3Options:
    """What may be read, `bucket` or `bucket/folder` each, and where; None is AWS's own."""

    places: tuple[str, ...] = ()
    endpoint_url: str | None = None
    region: str | None = None
    timeout_s: float = 15.0

    def to_s3fs(self) -> dict[str, object]:
        """The arguments of `s3fs.S3FileSystem`."""
        config: dict[str, object] = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "max_pool_connections": CONNECTIONS,
            # The job tries again itself: more tries here only hold its slice up.
            "retries": {"mode": "standard", "total_max_attempts": 2},
        }
        if self.endpoint_url is not None:
            # A server of one's own seldom has a name for each bucket.
            config["s3"] = {"addressing_style": "path"}
        client = {} if self.region is None else {"region_name": self.region}
        return {
            "endpoint_url": self.endpoint_url,
            "config_kwargs": config,
            "client_kwargs": client,
        }


class S3Reader:
    """Reads whole objects by bucket and key, the key as it stands in the URL."""

    def __init__(self, options: S3Options, max_bytes: int) -> None:
        self._options = options
        self._max_bytes = max_bytes
        self._client: Client | None = None
        self._opening = asyncio.Lock()

    def check(self, url: str) -> None:
        """As `SchemeReader` promises; S3 is not asked."""
        split_url(url, self._options.places)
        require_s3()

    async def read(self, url: str) -> bytes:
        """As `SchemeReader` promises."""
        bucket, key = split_url(url, self._options.places)
        require_s3()
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await self._content(bucket, key)
        except error_types("ClientError") as exc:
            raise _answered(exc) from exc
        except error_types(
            "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "NoRegionError"
        ) as exc:
            raise PermanentError(
                "S3 cannot be read: the workers have no complete credentials or region for it"
            ) from exc
        except error_types("ParamValidationError") as exc:
            raise PermanentError("S3 knows no bucket or key of such a form") from exc
        except TimeoutError as exc:
            raise TransientError("S3 took too long") from exc
        except (HttpError, OSError) as exc:
            raise TransientError(_AWAY) from exc
        except error_types("BotoCoreError") as exc:
            raise TransientError(_AWAY) from exc

    async def close(self) -> None:
        """Closes the client's connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _content(self, bucket: str, key: str) -> bytes:
        answer = await (await self._opened()).get_object(Bucket=bucket, Key=key)
        body: Body = answer["Body"]
        try:
            return await self._read(body, int(answer["ContentLength"]))
        finally:
            body.close()

    async def _read(self, body: Body, size_bytes: int) -> bytes:
        content = bytearray()
        while size_bytes <= self._max_bytes and len(content) <= self._max_bytes:
            piece = await body.read(PIECE_BYTES)
            if not piece:
                return bytes(content)
            content += piece
        raise PermanentError(too_large("the object in S3", self._max_bytes))

    async def _opened(self) -> Client:
        async with self._opening:
            if self._client is None:
                try:
                    self._client = await open_file_system(self._options.to_s3fs()).set_session()
                except ValueError as exc:  # botocore's sentence has the operator's whole URL
                    raise PermanentError(_WRONG_SETTING) from exc
            return self._client


def split_url(url: str, places: Sequence[str]) -> tuple[str, str]:
    """The bucket and the key of the URL, where one of `places` holds them.

    Raises `ValueError` with a sentence otherwise. The key is taken literally, as AWS's tools do.
    """
    if not places:
        raise ValueError(_NO_BUCKETS)
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("an s3:// URL reads s3://bucket/key, without control characters")
    bucket, key = match["bucket"], match["key"]
    if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise ValueError(f"a key of S3 has at most {MAX_KEY_BYTES:,} bytes")
    # Clients and servers that tidy paths would leave the folder.
    if not {".", ".."}.isdisjoint(key.split("/")):
        raise ValueError("the key of an s3:// URL has no '.' or '..' between its slashes")
    if not any(_holds(place, bucket, key) for place in places):
        raise ValueError(_REFUSED)
    return bucket, key


def _holds(place: str, bucket: str, key: str) -> bool:
    named, _, folder = place.partition("/")
    return named == bucket and (not folder or key.startswith(f"{folder}/"))


def _answered(exc: Exception) -> PermanentError | TransientError:
    response: dict[str, Any] = getattr(exc, "response", {})
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(response.get("Error", {}).get("Code", ""))
    if status == HTTPStatus.NOT_FOUND:
        return PermanentError("S3 has no object under the key of the s3:// URL")
    if code in _THROTTLED or status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500:
        return TransientError("S3 is too busy to answer now")
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
        return PermanentError("S3 does not let the workers read the object of the s3:// URL")
    return PermanentError(f"S3 refused to give the object of the s3:// URL ({status})")
