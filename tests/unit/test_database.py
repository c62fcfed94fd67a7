"""Which of the driver's errors mean that MongoDB is away for the moment."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    CursorNotFound,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteError,
)

from app.database import is_away


def bulk_error(*codes: int) -> BulkWriteError:
    errors = [{"index": index, "code": code} for index, code in enumerate(codes)]
    return BulkWriteError({"writeErrors": errors, "writeConcernErrors": []})


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("connection closed"),
        ServerSelectionTimeoutError("no primary"),
        CursorNotFound("gone", 43),
        OperationFailure("No keys found for HMAC", 211),
        OperationFailure("Read concern majority reads are not available", 134),
        OperationFailure(
            "stepped down", 10_107, {"errorLabels": ["TransientTransactionError"], "ok": 0}
        ),
        WriteError("Not primary while writing to waybill.tasks", 189),
        bulk_error(189, 11_602),
        ConfigurationError("Sessions are not supported by this MongoDB deployment"),
    ],
)
def test_a_server_that_is_away_or_starting(error: PyMongoError) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure("unauthorized", 13),
        bulk_error(189, 11_000),
        DuplicateKeyError("taken", 11_000),
        ConfigurationError("the URL is not valid"),
        ValueError("not the driver's"),
    ],
)
def test_what_another_try_does_not_mend(error: Exception) -> None:
    assert not is_away(error)
