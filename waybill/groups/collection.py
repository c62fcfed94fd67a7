"""Collections: what an extractor makes of the objects of some buckets."""

from collections.abc import Mapping, Sequence

from waybill.endpoint import D, endpoint
from waybill.flow.path import path_to
from waybill.flow.step import Flow
from waybill.flow.verb import UNSET, Unset, change, create, delete, fetched, get, said
from waybill.groups.listed import Listed
from waybill.types import Collection, Deleted


class Collections(Listed[D, Collection]):
    """Documents of one extractor."""

    kind = Collection
    parts = ("collections",)

    @endpoint
    def create(
        self,
        collection_name: str,
        *,
        feature_extractor: str | Mapping[str, object],
        bucket_ids: Sequence[str] | None = None,
        source: Mapping[str, object] | None = None,
        description: str | None = None,
        metadata: Mapping[str, object] | None = None,
        taxonomy_applications: Sequence[Mapping[str, object]] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Collection]:
        """A new collection that reads the buckets.

        `feature_extractor` is a name, or `{"feature_extractor_name", "parameters",
        "input_mappings"}`; `source` stands for `bucket_ids` in the API's own form. Each of the
        `taxonomy_applications`, `{"taxonomy_id", …}`, runs after a batch; clusters that read the
        collection are named by `change`, for they come after it.
        """
        if (source is None) == (bucket_ids is None):
            raise ValueError("say which buckets are read: give bucket_ids or source")
        if bucket_ids is not None:
            source = {"type": "bucket", "bucket_ids": [*bucket_ids]}
        if isinstance(feature_extractor, str):
            feature_extractor = {"feature_extractor_name": feature_extractor}
        body = said(
            collection_name=collection_name,
            source=source,
            feature_extractor=feature_extractor,
            description=description,
            metadata=metadata,
            taxonomy_applications=taxonomy_applications,
        )
        return fetched(Collection, create(path_to("collections"), body, key=idempotency_key))

    @endpoint
    def get(self, collection: str) -> Flow[Collection]:
        """The collection with this id or name."""
        return fetched(Collection, get(path_to("collections", collection)))

    @endpoint
    def change(
        self,
        collection: str,
        *,
        description: str | Unset | None = UNSET,
        metadata: Mapping[str, object] | Unset = UNSET,
        taxonomy_applications: Sequence[Mapping[str, object]] | Unset = UNSET,
        cluster_applications: Sequence[Mapping[str, object]] | Unset = UNSET,
    ) -> Flow[Collection]:
        """Sets what is given: the applications, which run after each batch, as a whole."""
        call = change(
            path_to("collections", collection),
            description=description,
            metadata=metadata,
            taxonomy_applications=taxonomy_applications,
            cluster_applications=cluster_applications,
        )
        return fetched(Collection, call)

    @endpoint
    def delete(self, collection: str) -> Flow[Deleted]:
        """Deletes a collection that holds no documents."""
        return fetched(Deleted, delete(path_to("collections", collection)))
