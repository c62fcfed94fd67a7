"""`waybill demo`: from an empty folder to receipts, clusters, runs, a kill and webhooks."""

import tempfile
from pathlib import Path
from typing import Final

from app.demo.clustering import cluster_digits, kill_a_fit
from app.demo.digits import create_bucket, create_collection, import_digits
from app.demo.main_job import run_batch
from app.demo.stack import running_stack
from app.demo.summary import show_runs
from app.demo.telling import listening
from app.demo.terminal import console
from app.demo.wrong_input import show_errors
from waybill import ApiError, Client

NAMESPACE: Final = "demo"


def run_demo(data_dir: Path | None, workers: int) -> None:
    """Runs everything and stops it again; the folder is a temporary one unless named."""
    with tempfile.TemporaryDirectory(prefix="waybill-demo-") as scratch:
        folder = data_dir or Path(scratch) / "data"
        with (
            listening() as ear,
            running_stack(folder, Path(scratch) / "ready.json", workers, ear.receiver) as ready,
        ):
            api_url, api_key = str(ready["api_url"]), str(ready["api_key"])
            console.print(f"API {api_url}, Flower {ready['flower_url']}\n")
            with Client(api_url, api_key) as client:
                _name_space(client)
            with Client(api_url, api_key, namespace=NAMESPACE) as client, ear.open(client):
                _show(client)
            ear.show()


def _show(client: Client) -> None:
    bucket_id = create_bucket(client)
    collection_id = create_collection(client, bucket_id)
    object_ids = import_digits(client, bucket_id)
    run_batch(client, bucket_id, collection_id, object_ids)
    cluster_digits(client, collection_id)
    show_runs(client)
    show_errors(client, bucket_id)
    kill_a_fit(client, collection_id)


def _name_space(client: Client) -> None:
    try:
        client.namespaces.create(NAMESPACE)
    except ApiError as exc:
        if exc.type != "AlreadyExistsError":
            raise
