"""Writes of several stores that belong together."""

from pymongo.client_session import ClientSession

from app.receipts.write import Effect


def together(*effects: Effect) -> Effect:
    """All of them, in order, in one transaction."""

    def write(session: ClientSession) -> None:
        for effect in effects:
            effect(session)

    return write
