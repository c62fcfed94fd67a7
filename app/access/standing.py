"""An admin key to everything that stays so: one must always be left."""

from typing import Final

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from app.access.key import ApiKey
from app.access.permission import Permission
from app.database import Document
from app.errors import AlreadyExistsError

STANDING: Final[Document] = {
    "permission": Permission.ADMIN.value,
    "namespace_ids": None,
    "revoked_at": None,
    "expires_at": None,
}


def leave_one(keys: Collection[Document], key: ApiKey, session: ClientSession) -> None:
    """`AlreadyExistsError` where the key is the last of those that stand.

    Within the transaction that takes it out of them. It writes to another that stands: of two
    transactions that would each close the other's witness, MongoDB lets one pass.
    """
    if not keys.find_one({**STANDING, "_id": key.key_id}, session=session):
        return
    other = {**STANDING, "_id": {"$ne": key.key_id}}
    if keys.find_one_and_update(other, {"$inc": {"witnessed": 1}}, session=session) is None:
        raise AlreadyExistsError(
            f"'{key.name}' is the last admin key for all namespaces without an expiry: "
            "make another one first"
        )
