"""Names of keys: receipts say by them who did what, so no two that share a namespace have one."""

from collections.abc import Collection as Names
from typing import Final

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from app.database import Document
from app.errors import AlreadyExistsError

ASKED: Final = "api_key_names"  # one small document for each name that a key ever had


def take_name(
    keys: Collection[Document],
    name: str,
    *,
    scope: Names[str] | None,
    key_id: str,
    session: ClientSession,
) -> None:
    """`AlreadyExistsError` while another key that opens one of these namespaces has the name.

    Within the transaction that gives it to the key `key_id`. Of two that would each take it,
    MongoDB lets one pass, since both write to the name; the other begins again.
    """
    asked = keys.database[ASKED]
    asked.update_one({"_id": name}, {"$inc": {"times": 1}}, upsert=True, session=session)
    other: Document = {"name": name, "revoked_at": None, "_id": {"$ne": key_id}}
    if scope is not None:
        other["$or"] = [{"namespace_ids": None}, {"namespace_ids": {"$in": sorted(scope)}}]
    if keys.find_one(other, session=session):
        raise AlreadyExistsError(
            f"There is a key named '{name}', and receipts name who did what by it: "
            "revoke that one, also where it has expired, or take another name"
        )
