"""What wrong inputs are answered with."""

from app.demo.terminal import console
from waybill import ApiError, Client
from waybill.types import JsonObject


def show_errors(client: Client, bucket_id: str) -> None:
    console.print("[bold]Three wrong inputs[/bold]")
    image = {"property": "image", "type": "image", "data": "this is no base64!"}
    answer = client.objects.create_many(bucket_id, [{"blobs": [image], "label": 7}])
    console.print(f"An image that is none: {answer['failed'][0]['error']}")
    wrong: list[tuple[str, str, JsonObject]] = [
        ("A key that does not exist", "/v1/buckets", {"bucket_name": "b", "colour": "red"}),
        (
            "An object that is not there",
            f"/v1/buckets/{bucket_id}/batches",
            {"object_ids": ["obj_none"]},
        ),
    ]
    for title, path, body in wrong:
        try:
            client.request("POST", path, body)
        except ApiError as exc:
            console.print(f"{title}: {exc.status} {exc.type}: {exc}")
