"""Methods of clustering, and their parameters as a request gives them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from app.clusters.parameters.density import (
    DBSCANParameters,
    HDBSCANParameters,
    MeanShiftParameters,
    OPTICSParameters,
)
from app.clusters.parameters.parameter import MethodParameters, right_value
from app.clusters.parameters.partition import (
    AgglomerativeParameters,
    GaussianMixtureParameters,
    KMeansParameters,
    SpectralParameters,
)
from app.errors import InvalidError, Problem
from app.resources.property import shown

PLACE: Final = "algorithm_params"


class ClusteringMethod(StrEnum):
    """How vectors are clustered, each by scikit-learn's estimator of that name."""

    KMEANS = "kmeans"
    DBSCAN = "dbscan"
    HDBSCAN = "hdbscan"
    AGGLOMERATIVE = "agglomerative"
    SPECTRAL = "spectral"
    GAUSSIAN_MIXTURE = "gaussian_mixture"
    MEAN_SHIFT = "mean_shift"
    OPTICS = "optics"


Parameters = (
    KMeansParameters
    | DBSCANParameters
    | HDBSCANParameters
    | AgglomerativeParameters
    | SpectralParameters
    | GaussianMixtureParameters
    | MeanShiftParameters
    | OPTICSParameters
)

MODELS: Final[Mapping[ClusteringMethod, type[Parameters]]] = {
    ClusteringMethod.KMEANS: KMeansParameters,
    ClusteringMethod.DBSCAN: DBSCANParameters,
    ClusteringMethod.HDBSCAN: HDBSCANParameters,
    ClusteringMethod.AGGLOMERATIVE: AgglomerativeParameters,
    ClusteringMethod.SPECTRAL: SpectralParameters,
    ClusteringMethod.GAUSSIAN_MIXTURE: GaussianMixtureParameters,
    ClusteringMethod.MEAN_SHIFT: MeanShiftParameters,
    ClusteringMethod.OPTICS: OPTICSParameters,
}


def parse_parameters(method: ClusteringMethod, raw: Mapping[str, object]) -> Parameters:
    """The method's parameters; null, like leaving out, is the default.

    Raises `InvalidError` naming each wrong one at `("algorithm_params", name)`, with its bounds.
    What `model_dump()` of parameters gives is parsed to the same parameters again.
    """
    model = MODELS[method]
    given = {name: value for name, value in raw.items() if value is not None}
    try:
        parameters = model.model_validate(given)
    except ValidationError as exc:
        raise InvalidError(_problems(method, exc)) from exc
    conflicts = [_problem(name, message) for name, message in parameters.conflicts()]
    if conflicts:
        raise InvalidError(conflicts)
    return parameters


def _problems(method: ClusteringMethod, error: ValidationError) -> list[Problem]:
    """One a parameter, though each branch of a union complains by itself."""
    kinds = {str(flaw["loc"][0]): flaw["type"] for flaw in error.errors(include_input=False)}
    return [_problem(name, _sentence(method, name, kind)) for name, kind in kinds.items()]


def _sentence(method: ClusteringMethod, name: str, kind: str) -> str:
    model: type[MethodParameters] = MODELS[method]
    field = {"affinity": "metric"}.get(name, name)
    if kind != "extra_forbidden":
        return f"{name} {right_value(model, field)}"
    if field != name and field in model.model_fields:
        return f"{name} is another name of {field}: give one of them"
    return f"{method} has no parameter '{shown(name)}': it has {', '.join(model.model_fields)}"


def _problem(name: str, message: str) -> Problem:
    return Problem((PLACE, shown(name)), message)
