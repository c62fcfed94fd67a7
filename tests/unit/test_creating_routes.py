"""Every route that creates or submits takes an `Idempotency-Key`, later ones too."""

from fastapi.routing import APIRoute

from app.http.idempotency import MARK, IdempotentRoute
from app.main import ROUTERS

# Routes that read with a body.
READS = {"list", "count", "aggregate", "validate"}

# Routes that only show what would come of some documents.
TRIALS = {
    "/v1/taxonomies/{taxonomy_identifier}/execute",
    "/v1/taxonomies/execute/{taxonomy_identifier}",
}

# What they ask for is a state of one thing: asked again, it is there already.
STATES = {
    "/v1/buckets/{bucket_identifier}/batches/{batch_id}/objects",
    "/v1/buckets/{bucket_identifier}/batches/{batch_id}/cancel",
    "/v1/clusters/{cluster_identifier}/executions/{run_id}/cancel",
    "/v1/namespaces/migrations/{migration_id}/cancel",
    "/v1/organizations/webhooks/{webhook_identifier}/deliveries/purge",
    "/v1/tasks/{task_id}/kill",
    "/v1/tasks/{task_id}/suspend",
    "/v1/tasks/{task_id}/resume",
}


def posts() -> dict[str, APIRoute]:
    routes = [route for router in ROUTERS for route in router.routes]
    return {
        route.path: route
        for route in routes
        if isinstance(route, APIRoute) and "POST" in (route.methods or ())
    }


def is_marked(route: APIRoute) -> bool:
    return bool((route.openapi_extra or {}).get(MARK))


def test_every_post_creates_reads_or_asks_for_a_state() -> None:
    found = posts()
    creating = {path for path, route in found.items() if is_marked(route)}
    reading = {path for path in found if path.rsplit("/", 1)[-1] in READS}
    assert found.keys() - creating - reading == STATES | TRIALS
    assert not creating & (reading | STATES | TRIALS)


def test_every_creating_route_honours_the_key() -> None:
    creating = [route for route in posts().values() if is_marked(route)]
    assert len(creating) > 10
    assert all(isinstance(route, IdempotentRoute) for route in creating)
