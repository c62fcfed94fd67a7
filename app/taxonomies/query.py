"""What of a document is compared with the nodes: a vector that it has, or one that is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from app.database import Document
from app.errors import InvalidError, Problem
from app.resources.collection import Collection
from app.resources.extractor import (
    EXTRACTORS,
    Extractor,
    Failure,
    Feature,
    Limits,
    input_sources,
)
from app.taxonomies.config import Config, InputMapping, InputSource
from app.taxonomies.field_path import stored_path, value_at
from app.taxonomies.node import vectors_of
from app.taxonomies.similarity import Vectors


@dataclass(frozen=True, slots=True)
class Query:
    """How the documents of one taxonomy version are compared with its nodes."""

    extractor: Extractor
    mappings: tuple[InputMapping, ...]
    makes_vectors: bool
    properties: Mapping[str, str]  # of the source collection, by the extractor's input

    @classmethod
    def of(cls, config: Config, sources: Mapping[str, Collection], limits: Limits) -> Self:
        """Over the source collections by id; `InvalidError` where they do not fit together."""
        _check_alike(config, sources)
        spec = sources[config.sources[0].collection_id].feature_extractor
        extractor = EXTRACTORS.build(spec.name, spec.parameters, limits)
        made = cls(
            extractor,
            config.input_mappings,
            config.makes_vectors,
            input_sources(extractor.inputs, spec.input_mappings),
        )
        made._check_mappings()
        return made

    @property
    def feature(self) -> Feature:
        """What nodes and documents are compared by."""
        return self.extractor.feature

    @property
    def vector_name(self) -> str:
        """The documents' own feature that is compared, where no vector is made."""
        named = [each.path for each in self.mappings if each.path and not self.makes_vectors]
        return named[0] if named else self.feature.name

    @property
    def paths(self) -> list[str]:
        """What of a stored document is read, as MongoDB names it."""
        if not self.makes_vectors:
            return [f"vectors.{self.vector_name}"]
        return [
            stored_path(each.path)
            for each in self.mappings
            if each.path and each.source_type is InputSource.PAYLOAD
        ]

    def check(self, collection: Collection, limits: Limits) -> None:
        """`InvalidError` for a collection whose documents cannot be compared with the nodes."""
        if self.makes_vectors:
            return
        spec = collection.feature_extractor
        theirs = EXTRACTORS.build(spec.name, spec.parameters, limits).feature
        if (theirs.name, theirs.dimension) != (self.vector_name, self.feature.dimension):
            message = (
                f"the documents of '{collection.collection_name}' have the feature "
                f"'{theirs.name}' of {theirs.dimension} numbers, the nodes are compared by "
                f"'{self.vector_name}' of {self.feature.dimension}"
            )
            raise InvalidError.at("body", "collection_id", message=message)

    def vectors(self, documents: Sequence[Document]) -> Vectors:
        """One row a stored document; zeros where it has nothing to compare."""
        if not self.makes_vectors:
            return vectors_of(documents, self.feature, self.vector_name)
        return self._extracted(
            [{each.input_key: _value(each, one) for each in self.mappings} for one in documents]
        )

    def vectors_of_plain(self, documents: Sequence[Mapping[str, object]]) -> Vectors:
        """The same of JSON documents, which have no vectors of their own: where no mapping says
        how, they are read as the objects that the nodes were made of."""
        if self.makes_vectors:
            return self.vectors([{"fields": dict(one), **one} for one in documents])
        return self._extracted(
            [
                {name: one.get(source) for name, source in self.properties.items()}
                for one in documents
            ]
        )

    def _extracted(self, items: Sequence[Mapping[str, object]]) -> Vectors:
        found = np.zeros((len(items), self.feature.dimension), np.float32)
        present = [{k: v for k, v in item.items() if v is not None} for item in items]
        for place, made in enumerate(self.extractor.extract(present)):
            if not isinstance(made, Failure):
                found[place] = made
        return found

    def _check_mappings(self) -> None:
        known = self.extractor.inputs if self.makes_vectors else (self.feature.name,)
        problems = [
            Problem(
                ("body", "input_mappings", place, "input_key"),
                f"'{each.input_key}' is nothing that the nodes are compared by: "
                f"that is {', '.join(known[:20])}",
            )
            for place, each in enumerate(self.mappings)
            if each.input_key not in known
        ]
        if problems:
            raise InvalidError(problems)


def _value(mapping: InputMapping, document: Document) -> object:
    if mapping.source_type is InputSource.LITERAL:
        return mapping.override
    return value_at(document, mapping.path or mapping.input_key)


def _check_alike(config: Config, sources: Mapping[str, Collection]) -> None:
    """Nodes of all levels are compared with one vector, so all have to have one extractor."""
    first, *others = [sources[each.collection_id] for each in config.sources]
    for other in others:
        mine, theirs = first.feature_extractor, other.feature_extractor
        if (mine.name, mine.version, mine.parameters) != (
            theirs.name,
            theirs.version,
            theirs.parameters,
        ):
            message = (
                f"the nodes of '{first.collection_name}' and '{other.collection_name}' are made by "
                "different extractors: one document cannot be compared with both"
            )
            raise InvalidError.at("body", "config", message=message)
