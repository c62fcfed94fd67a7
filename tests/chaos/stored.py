"""What a run left in MongoDB, read once for the reckoning."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from pymongo.database import Database

from app.database import Document
from tests.chaos.jobs import EFFECTS

# What tells one resource from all others that the producers asked for.
CONTENTS: Final = {"objects": "$blobs.data", "batches": "$batch_name"}


@dataclass(frozen=True, slots=True)
class Stored:
    """`effects` counts by task id and step, `documents` by object id; `twins` are the ids of
    resources that are the same, `quotas` the most tasks that a namespace may have running."""

    receipts: Mapping[str, Document]
    effects: Mapping[str, Mapping[str, int]]
    documents: Counter[str]
    twins: list[list[str]]
    quotas: Mapping[str, int]

    @classmethod
    def read(cls, database: Database[Document]) -> Self:
        """All of it; nothing may be under way."""
        effects: dict[str, dict[str, int]] = defaultdict(dict)
        for row in database[EFFECTS].find():
            task_id, step = row["_id"].split("/")
            effects[task_id][step] = row["count"]
        return cls(
            receipts={row["_id"]: row for row in database["tasks"].find()},
            effects=effects,
            documents=Counter(row["object_id"] for row in database["documents"].find()),
            twins=[
                ids for name, content in CONTENTS.items() for ids in _same(database, name, content)
            ],
            quotas={
                row["_id"]: row["quotas"]["max_running"]
                for row in database["namespaces"].find({"quotas.max_running": {"$ne": None}})
            },
        )


def _same(database: Database[Document], collection: str, content: str) -> list[list[str]]:
    grouped = database[collection].aggregate(
        [
            {"$group": {"_id": content, "ids": {"$push": "$_id"}}},
            {"$match": {"ids.1": {"$exists": True}}},
        ]
    )
    return [row["ids"] for row in grouped]
