"""How much a migration would move, measured row by row; nothing is written."""

from collections.abc import Iterator

from pymongo import ASCENDING
from pymongo.database import Database

from app.database import Document
from app.migrations.plan import Plan
from app.migrations.transfer import COLLECTIONS, OWNERS


def sizes(database: Database[Document], plan: Plan, *, step_rows: int) -> Iterator[tuple[int, int]]:
    """Rows and their bytes, step by step through all tracks of the plan."""
    for track in plan.tracks:
        rows = database[COLLECTIONS[track.kind]]
        last_id = ""
        while True:
            owned = {OWNERS[track.kind]: track.source_id, "_id": {"$gt": last_id}}
            found = rows.find(owned, {"size": {"$bsonSize": "$$ROOT"}})
            page = list(found.sort("_id", ASCENDING).limit(step_rows))
            if not page:
                break
            last_id = page[-1]["_id"]
            yield len(page), sum(row["size"] for row in page)
