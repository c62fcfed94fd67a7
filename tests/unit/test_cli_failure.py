"""Every error is a sentence and an exit code, and the documents list every code."""

from pathlib import Path

import pytest

from waybill.cli.command_error import CommandError
from waybill.cli.exit_code import EPILOG, MEANINGS, ExitCode, of_status
from waybill.cli.failure import failure_of
from waybill.error import ApiError, ClientError, ConnectError, SetupError, WaitTimeoutError

DOCUMENT = Path(__file__).parents[2] / "docs" / "command.md"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiError(400, {}), ExitCode.USAGE),
        (ApiError(401, {}), ExitCode.NOT_ALLOWED),
        (ApiError(403, {}), ExitCode.NOT_ALLOWED),
        (ApiError(404, {}), ExitCode.NOT_FOUND),
        (ApiError(409, {}), ExitCode.USAGE),
        (ApiError(422, {}), ExitCode.USAGE),
        (ApiError(429, {}), ExitCode.UNAVAILABLE),
        (ApiError(500, {}), ExitCode.UNAVAILABLE),
        (ApiError(503, {}), ExitCode.UNAVAILABLE),
        (SetupError("Say which server."), ExitCode.USAGE),
        (ConnectError("No server answers."), ExitCode.UNAVAILABLE),
        (WaitTimeoutError("It takes longer.", None), ExitCode.TIMED_OUT),
        (CommandError("No."), ExitCode.USAGE),
        (FileNotFoundError(2, "No such file", "x.csv"), ExitCode.USAGE),
    ],
)
def test_each_error_has_its_code(error: ClientError | CommandError | OSError, code: int) -> None:
    assert failure_of(error).code == code


def test_a_sentence_is_one_line_with_the_way_out() -> None:
    many = ApiError(500, {"message": "Something\n went wrong"}, request_id="req_1")
    assert failure_of(many).sentence == "Something went wrong (request req_1)"
    refused = failure_of(ConnectError("No server answers at http://127.0.0.1:1: refused."))
    assert refused.sentence.endswith("see whether `waybill up` runs, or set WAYBILL_URL.")


def test_how_a_task_ended_is_an_exit_code() -> None:
    codes = {status: of_status(status) for status in ("COMPLETED", "SKIPPED", "FAILED", "CANCELED")}
    assert codes == {"COMPLETED": 0, "SKIPPED": 0, "FAILED": 1, "CANCELED": 3}


def test_help_and_document_list_every_exit_code() -> None:
    document = DOCUMENT.read_text()
    assert set(MEANINGS) == set(ExitCode)
    for code, meaning in MEANINGS.items():
        assert f"{code.value} {meaning}" in EPILOG
        assert f"| {code.value} | {meaning} |" in document
