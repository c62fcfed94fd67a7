"""From what is asked for to the task that does it, for the API and for workers."""

from dataclasses import dataclass, replace

from app.errors import CallerError, InvalidError
from app.query.condition import compile_filters
from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask, Receipt
from app.resources.collection import Collection, CollectionStore
from app.resources.document import FIELDS
from app.resources.extractor import Limits
from app.taxonomies.config import Config
from app.taxonomies.materialization import TASK_TYPE, MaterializationStore, Wanted
from app.taxonomies.query import Query
from app.taxonomies.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who submits, and how often the task may be tried."""

    actor: str
    max_attempts: int
    request_id: str | None = None
    callback_url: str | None = None


@dataclass(frozen=True, slots=True)
class Materializing:
    """What submits materializations."""

    collections: CollectionStore
    materializations: MaterializationStore
    ledger: Ledger
    limits: Limits

    def query(self, config: Config, *, namespace_id: str) -> Query:
        """How documents are compared with the nodes; `InvalidError` where a source is gone."""
        sources = sources_of(config, self.collections, namespace_id=namespace_id)
        return Query.of(config, sources, self.limits)

    def submit(self, wanted: Wanted, submitter: Submitter) -> Receipt:
        """The receipt of the task that materializes it, or of the same one that is open.

        Raises `NotFoundError` for a collection that is not there, `InvalidError` for such as do not
        fit, and as `MaterializationStore.submit`.
        """
        taxonomy = wanted.taxonomy
        namespace_id = taxonomy.namespace_id
        collection = self.collections.get(wanted.collection_id, namespace_id=namespace_id)
        compile_filters(wanted.filters, FIELDS)
        query = self.query(taxonomy.config, namespace_id=namespace_id)
        query.check(collection, self.limits)
        if wanted.target_collection_id is not None:
            target = self.collections.get(wanted.target_collection_id, namespace_id=namespace_id)
            self._check_target(taxonomy, collection, target)
            wanted = replace(wanted, target_collection_id=target.collection_id)
        wanted = replace(wanted, collection_id=collection.collection_id)
        task = NewTask(
            task_type=TASK_TYPE,
            namespace_id=namespace_id,
            inputs=[taxonomy.taxonomy_id, collection.collection_id],
            actor=submitter.actor,
            additional_data={
                "taxonomy_id": taxonomy.taxonomy_id,
                "version": taxonomy.version,
                "collection_id": collection.collection_id,
                "target_collection_id": wanted.target_collection_id,
                "materialization_id": wanted.materialization_id,
                "request_id": submitter.request_id,
            },
            max_attempts=submitter.max_attempts,
            callback_url=submitter.callback_url,
        )
        return self.materializations.submit(wanted, task, self.ledger)

    def _check_target(self, taxonomy: Taxonomy, collection: Collection, target: Collection) -> None:
        place = ("body", "target_collection_id")
        used = {collection.collection_id, *(each.collection_id for each in taxonomy.config.sources)}
        if target.collection_id in used:
            message = "the target is another collection than the documents' and the nodes'"
            raise InvalidError.at(*place, message=message)
        mine, theirs = collection.feature_extractor, target.feature_extractor
        if (mine.name, mine.parameters) != (theirs.name, theirs.parameters):
            message = (
                f"the documents of '{collection.collection_name}' take their vectors to the "
                "target: give it the same feature extractor"
            )
            raise InvalidError.at(*place, message=message)


def sources_of(
    config: Config, collections: CollectionStore, *, namespace_id: str
) -> dict[str, Collection]:
    """The source collections by id; `InvalidError` where one was deleted."""
    found = {}
    for each in config.sources:
        try:
            found[each.collection_id] = collections.get(
                each.collection_id, namespace_id=namespace_id
            )
        except CallerError as exc:
            message = f"the taxonomy's source is gone: {exc}"
            raise InvalidError.at("taxonomy", "config", message=message) from exc
    return found
