"""What a command says by itself when it cannot go on."""

from waybill.cli.exit_code import ExitCode


class CommandError(Exception):
    """One sentence for stderr, with the way out, and the exit code that goes with it."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(sentence)
        self.code = code
