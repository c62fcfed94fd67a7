"""From a request's configuration of a taxonomy to the one that is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.api.taxonomy_body import (
    BranchBody,
    EnrichmentBody,
    LevelBody,
    MappingBody,
    SourceBody,
    TaxonomyConfigBody,
)
from app.errors import InvalidError, NotFoundError
from app.http.body import JsonObject
from app.query.field import Location
from app.resources.collection import CollectionStore
from app.taxonomies.config import (
    DEFAULT_RETRIEVER,
    Config,
    Enrichment,
    InputMapping,
    InputSource,
    Level,
    MergeMode,
    Source,
    TaxonomyType,
)
from app.taxonomies.field_path import stored_path
from app.taxonomies.tree import levels_of, require_once


@dataclass(frozen=True, slots=True)
class ConfigReader:
    """Reads configurations in one namespace; `InvalidError` names what is not there or no path."""

    collections: CollectionStore
    namespace_id: str

    def read(self, body: TaxonomyConfigBody) -> Config:
        """The configuration, with ids in place of names and every default."""
        mappings = mappings_of(body.input_mappings or ())
        if {each.source_type is InputSource.VECTOR for each in mappings} == {True, False}:
            message = "documents are compared by a vector or by inputs, not by both"
            raise InvalidError.at("body", "input_mappings", message=message)
        said: JsonObject = {
            "retriever_id": body.retriever_id or DEFAULT_RETRIEVER,
            "input_mappings": [_mapping_json(each) for each in mappings],
        }
        kind, levels, more = self._levels(body)
        require_once([source for level in levels for source in level.sources])
        return Config(kind, levels, mappings, {"taxonomy_type": kind.value, **said, **more})

    def _levels(
        self, body: TaxonomyConfigBody
    ) -> tuple[TaxonomyType, tuple[Level, ...], JsonObject]:
        """The levels, and how answers show them."""
        top_k, threshold = body.top_k or 1, body.threshold or 0.0
        shared: JsonObject = {"top_k": top_k, "threshold": threshold}
        if body.hierarchical_nodes is not None:
            sources = [self._branch(each, i) for i, each in enumerate(body.hierarchical_nodes)]
            levels = levels_of(sources, top_k=top_k, threshold=threshold)
            pairs = zip(body.hierarchical_nodes, sources, strict=True)
            shown = [_branch_json(asked, source) for asked, source in pairs]
            return TaxonomyType.HIERARCHICAL, levels, {"hierarchical_nodes": shown, **shared}
        if body.levels is not None:
            levels = tuple(
                Level(
                    (self._level(each, i),),
                    each.top_k or top_k,
                    threshold if each.threshold is None else each.threshold,
                )
                for i, each in enumerate(body.levels)
            )
            more: JsonObject = {"levels": [_level_json(level) for level in levels]}
            return TaxonomyType.HIERARCHICAL, levels, more
        asked = body.source_collection
        if asked is None:
            message = "send one of source_collection, levels and hierarchical_nodes"
            raise InvalidError.at("body", "config", message=message, kind="missing")
        if isinstance(asked, str):
            asked = SourceBody(collection_id=asked)
        source = self._source(asked, ("body", "source_collection"))
        shown_source = _source_json(source)
        level = Level((source,), top_k, threshold)
        return TaxonomyType.FLAT, (level,), {"source_collection": shown_source, **shared}

    def _source(self, asked: SourceBody | BranchBody, place: Location) -> Source:
        if asked.label_field is not None:
            stored_path(asked.label_field, (*place, "label_field"))
        return Source(
            collection_id=self._id(asked.collection_id, (*place, "collection_id")),
            label_field=asked.label_field,
            enrichment=_enrichment(asked.enrichment_fields or (), place),
        )

    def _level(self, asked: LevelBody, index: int) -> Source:
        place: Location = ("body", "levels", index)
        for name in ("key_field", "parent_field"):
            if (path := getattr(asked, name)) is not None:
                stored_path(path, (*place, name))
        if index == 0 and asked.parent_field is not None:
            message = "the first level has the roots, which have no parents"
            raise InvalidError.at(*place, "parent_field", message=message)
        return replace(
            self._source(asked, place), key_field=asked.key_field, parent_field=asked.parent_field
        )

    def _branch(self, asked: BranchBody, index: int) -> Source:
        place: Location = ("body", "hierarchical_nodes", index)
        parent = asked.parent_collection_id
        parent_place = (*place, "parent_collection_id")
        return replace(
            self._source(asked, place),
            parent_collection_id=None if parent is None else self._id(parent, parent_place),
            label=asked.label,
        )

    def _id(self, identifier: str, place: Location) -> str:
        try:
            return self.collections.get(identifier, namespace_id=self.namespace_id).collection_id
        except NotFoundError as exc:
            raise InvalidError.at(*place, message=str(exc)) from exc


def mappings_of(asked: Sequence[MappingBody]) -> tuple[InputMapping, ...]:
    """What a request says of inputs; `InvalidError` at its place in the body."""
    return tuple(
        _mapping(each, ("body", "input_mappings", place)) for place, each in enumerate(asked)
    )


def _mapping(asked: MappingBody, place: Location) -> InputMapping:
    source = asked.source_type
    if source is None:
        source = InputSource.PAYLOAD if asked.override is None else InputSource.LITERAL
    if (source is InputSource.LITERAL) != (asked.override is not None):
        message = "a literal has its value in override, and nothing else has one"
        raise InvalidError.at(*place, "override", message=message)
    if source is InputSource.PAYLOAD and asked.path is not None:
        stored_path(asked.path, (*place, "path"))
    path = asked.path
    if source is InputSource.VECTOR and path is None:
        path = asked.input_key
    return InputMapping(asked.input_key, source, path, asked.override)


def _enrichment(asked: Sequence[EnrichmentBody], place: Location) -> tuple[Enrichment, ...]:
    found = []
    for index, each in enumerate(asked):
        stored_path(each.field_path, (*place, "enrichment_fields", index, "field_path"))
        name = each.target_field or each.field_path.rpartition(".")[2]
        found.append(Enrichment(each.field_path, name, each.merge_mode or MergeMode.REPLACE))
    names = [each.target_field for each in found]
    if len(set(names)) < len(names):
        message = "two values would go to one field: give them a target_field each"
        raise InvalidError.at(*place, "enrichment_fields", message=message)
    return tuple(found)


def _mapping_json(mapping: InputMapping) -> JsonObject:
    return {
        "input_key": mapping.input_key,
        "source_type": mapping.source_type.value,
        "path": mapping.path,
        "override": mapping.override,
    }


def _source_json(source: Source) -> JsonObject:
    return {
        "collection_id": source.collection_id,
        "label_field": source.label_field,
        "enrichment_fields": [
            {
                "field_path": each.field_path,
                "target_field": each.target_field,
                "merge_mode": each.merge_mode.value,
            }
            for each in source.enrichment
        ],
    }


def _level_json(level: Level) -> JsonObject:
    (source,) = level.sources
    return {
        **_source_json(source),
        "key_field": source.key_field,
        "parent_field": source.parent_field,
        "top_k": level.top_k,
        "threshold": level.threshold,
    }


def _branch_json(asked: BranchBody, source: Source) -> JsonObject:
    return {
        **_source_json(source),
        "parent_collection_id": source.parent_collection_id,
        "label": source.label,
        "summary": asked.summary,
        "keywords": asked.keywords,
        "retriever_id": asked.retriever_id,
    }
