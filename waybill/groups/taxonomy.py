"""Taxonomies: nodes that documents are assigned to."""

from collections.abc import Mapping, Sequence

from waybill.endpoint import D, endpoint
from waybill.flow.path import path_to
from waybill.flow.step import Flow
from waybill.flow.verb import UNSET, Unset, ask, change, create, delete, fetched, get, said
from waybill.groups.listed import Listed
from waybill.types import Deleted, Page, Task, Taxonomy, Trial


class Taxonomies(Listed[D, Taxonomy]):
    """Taxonomies, their versions, trials and materializations; each by its id or name."""

    kind = Taxonomy
    parts = ("taxonomies",)

    @endpoint
    def create(
        self,
        taxonomy_name: str,
        config: Mapping[str, object],
        *,
        description: str | None = None,
        metadata: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Taxonomy]:
        """A new taxonomy at version 1.

        `config` names a `source_collection`, or the `levels` of a hierarchy, the root's first.
        """
        body = said(
            taxonomy_name=taxonomy_name, config=config, description=description, metadata=metadata
        )
        return fetched(Taxonomy, create(path_to("taxonomies"), body, key=idempotency_key))

    @endpoint
    def get(self, taxonomy: str, *, version: int | None = None) -> Flow[Taxonomy]:
        """The taxonomy at the version or the newest, and where it is materialized."""
        return fetched(Taxonomy, get(path_to("taxonomies", taxonomy), said(version=version)))

    @endpoint
    def versions(self, taxonomy: str) -> Flow[Page[Taxonomy]]:
        """The taxonomy at each of its versions, the newest first, all on one page."""
        return fetched(Page[Taxonomy], get(path_to("taxonomies", taxonomy, "versions")))

    @endpoint
    def add_version(
        self,
        taxonomy: str,
        config: Mapping[str, object],
        *,
        idempotency_key: str | None = None,
    ) -> Flow[Taxonomy]:
        """The taxonomy at a new version; what was assigned stays until it is materialized again."""
        path = path_to("taxonomies", taxonomy, "versions")
        return fetched(Taxonomy, create(path, {"config": config}, key=idempotency_key))

    @endpoint
    def change(
        self,
        taxonomy: str,
        *,
        taxonomy_name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        metadata: Mapping[str, object] | Unset = UNSET,
    ) -> Flow[Taxonomy]:
        """Sets what is given; a configuration never changes."""
        path = path_to("taxonomies", taxonomy)
        return fetched(
            Taxonomy,
            change(path, taxonomy_name=taxonomy_name, description=description, metadata=metadata),
        )

    @endpoint
    def delete(self, taxonomy: str) -> Flow[Deleted]:
        """Deletes the taxonomy with all versions; what it assigned stays where it is."""
        return fetched(Deleted, delete(path_to("taxonomies", taxonomy)))

    @endpoint
    def execute(
        self,
        taxonomy: str,
        documents: Sequence[str | Mapping[str, object]],
        *,
        collection: str | None = None,
        version: int | None = None,
    ) -> Flow[Trial]:
        """What 1 to 5 documents, by id or as JSON, would be assigned; nothing is stored."""
        body = said(documents=[*documents], collection_id=collection, version=version)
        return fetched(Trial, ask(path_to("taxonomies", taxonomy, "execute"), body))

    @endpoint
    def materialize(
        self,
        taxonomy: str,
        collection: str,
        *,
        target: str | None = None,
        filters: Mapping[str, object] | None = None,
        version: int | None = None,
        batch_size: int | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Task]:
        """The task that assigns the nodes to the collection's documents, or to copies in `target`.

        The same one while it is open. A child task takes `batch_size` documents.
        """
        body = said(
            collection_id=collection,
            target_collection_id=target,
            filters=filters,
            version=version,
            batch_size=batch_size,
            webhook_url=webhook_url,
        )
        path = path_to("taxonomies", taxonomy, "materialize")
        return fetched(Task, create(path, body, key=idempotency_key))
