"""What a request has run after a collection's batches, checked."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from app.errors import InvalidError, NotFoundError, Problem
from app.http.body import Body, Flag, Integer
from app.http.filtering import Filters
from app.query.condition import compile_filters
from app.resources.application import (
    DEFAULT_COOLDOWN_S,
    Applications,
    ClusterApplication,
    TaxonomyApplication,
)
from app.resources.document import FIELDS
from app.stores import Stores

MAX_COOLDOWN_S: Final = 30 * 86_400


class TaxonomyApplicationBody(Body):
    """A taxonomy to assign after each batch; without a target, onto the documents themselves.

    The last three are the public client's: order and style are not for choice here.
    """

    taxonomy_id: str
    target_collection_id: str | None = None
    scroll_filters: Filters | None = None
    execution_mode: Literal["materialize"] = "materialize"
    execution_phase: Literal[1] = 1
    priority: Literal[0] = 0


class ClusterApplicationBody(Body):
    """A cluster to execute after a batch, not again within the cooldown (seconds), and not while
    the collection has fewer documents than the threshold.
    """

    cluster_id: str
    auto_execute_on_batch: Flag = True
    min_document_threshold: Integer | None = Field(None, ge=1)
    cooldown_seconds: Integer = Field(DEFAULT_COOLDOWN_S, ge=0, le=MAX_COOLDOWN_S)
    execution_phase: Literal[2] = 2
    priority: Literal[0] = 0


TaxonomyApplications = Annotated[list[TaxonomyApplicationBody], Field(max_length=20)]
ClusterApplications = Annotated[list[ClusterApplicationBody], Field(max_length=20)]


def checked(
    stores: Stores,
    namespace_id: str,
    taxonomies: Sequence[TaxonomyApplicationBody],
    clusters: Sequence[ClusterApplicationBody],
    *,
    collection_id: str | None = None,
) -> Applications:
    """The applications, with ids in place of names; `InvalidError` naming each that cannot run.

    `collection_id` None is for a collection that is not there yet: no cluster reads it.
    """
    check = _Check(stores, namespace_id, collection_id)
    found = Applications(
        tuple(check.taxonomies(taxonomies)),
        tuple(check.clusters(clusters)),
    )
    if check.problems:
        raise InvalidError(check.problems)
    return found


class _Check:
    """Gathers what is wrong."""

    def __init__(self, stores: Stores, namespace_id: str, collection_id: str | None) -> None:
        self._stores = stores
        self._namespace_id = namespace_id
        self._collection_id = collection_id
        self.problems: list[Problem] = []

    def taxonomies(self, asked: Sequence[TaxonomyApplicationBody]) -> Iterator[TaxonomyApplication]:
        for index, each in enumerate(asked):
            place = ("body", "taxonomy_applications", index)
            try:
                taxonomy = self._stores.taxonomies.get(
                    each.taxonomy_id, namespace_id=self._namespace_id
                )
                target_id = self._target_id(each.target_collection_id)
                compile_filters(each.scroll_filters, FIELDS)
            except (NotFoundError, InvalidError) as exc:
                self.problems.append(Problem(place, str(exc)))
            else:
                yield TaxonomyApplication(taxonomy.taxonomy_id, target_id, each.scroll_filters)

    def clusters(self, asked: Sequence[ClusterApplicationBody]) -> Iterator[ClusterApplication]:
        for index, each in enumerate(asked):
            place = ("body", "cluster_applications", index, "cluster_id")
            try:
                cluster = self._stores.clusters.get(
                    each.cluster_id, namespace_id=self._namespace_id
                )
            except NotFoundError as exc:
                self.problems.append(Problem(place, str(exc)))
                continue
            if self._collection_id not in cluster.definition.collection_ids:
                message = f"the cluster '{cluster.cluster_name}' does not read this collection"
                self.problems.append(Problem(place, message))
            yield ClusterApplication(
                cluster.cluster_id,
                each.auto_execute_on_batch,
                each.min_document_threshold,
                each.cooldown_seconds,
            )

    def _target_id(self, identifier: str | None) -> str | None:
        if identifier is None:
            return None
        found = self._stores.collections.get(identifier, namespace_id=self._namespace_id)
        return found.collection_id
