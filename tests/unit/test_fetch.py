"""The choice of a reader by scheme, and s3:// URLs as text."""

import asyncio
import json
import re
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.errors import InvalidError, PermanentError
from app.fetch.reader import ContentReader
from app.fetch.s3 import S3Options, split_url
from app.fetch.s3_library import open_file_system, require_s3
from app.settings import PREFIX, Settings

OBJECTS = Path(__file__).parents[2] / "docs" / "objects.md"
PLACES = ("shop", "shared/in")
WRONG_S3_URLS = {
    "names nothing in the buckets": [
        *("s3://other/a", "s3://shared/a", "s3://shared/inside/a", "s3://shared/in", "s3://SHOP/a"),
    ],
    "reads s3://bucket/key": [
        *("s3://shop", "s3://shop/", "s3:///a", "s3:shop/a"),
        *("s3://shop/a\nb", "s3://shop/\x7f", "s3://sh op/a"),
    ],
    "no '.' or '..'": ["s3://shared/in/../a", "s3://shop/./a", "s3://shop/.."],
    "at most 1,024 bytes": ["s3://shop/" + "é" * 513],
}


def reader(**settings: object) -> ContentReader:
    return ContentReader.of(Settings.model_validate(settings))


def test_what_is_not_opened_by_a_setting_is_off() -> None:
    for url, said in (
        ("file:///a", "WAYBILL_FILE_ROOTS"),
        ("s3://bucket/key", "WAYBILL_S3_BUCKETS"),
        ("https://127.0.0.1/", "not a public one"),
        ("https://example.org:8443/", "a port that may not be called"),
        ("http://example.org/", "only https://, s3://, file:// URLs can"),
        ("gopher://x", "gopher: URLs cannot be read"),
        ("no url", "begins with its scheme: one of https://, s3://, file://"),
    ):
        with pytest.raises(InvalidError, match=said) as invalid:
            reader().check_url(url, location=("blobs", 0, "url"))
        assert invalid.value.problems[0].location == ("blobs", 0, "url")
        with pytest.raises(PermanentError, match=said):
            asyncio.run(reader().read(url))


def test_what_settings_open_is_taken() -> None:
    opened = reader(
        file_roots="/data",
        s3_buckets="shop, shared/in/",
        egress_allowed_networks="127.0.0.0/8",
        egress_allowed_ports="8443",
    )
    for url in (
        *("FILE:///data/a", "S3://shop/a", "s3://shared/in/a", "https://127.0.0.1:8443/"),
        *("HTTPS://example.org/", "https://example.org:80/"),
    ):
        opened.check_url(url)


@pytest.mark.parametrize(
    "settings",
    [
        *({"egress_allowed_networks": text} for text in ("10.0.0.1/8", "localhost", "10.0.0.0/33")),
        *({"egress_allowed_ports": text} for text in ("0", "65536", "a", "443-445")),
        *({"s3_buckets": text} for text in ("/", "s3://shop", "/shop")),
        *({"s3_endpoint_url": "host:9000"}, {"egress_ca_file": "/nonexistent/ca.pem"}),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(settings)


def test_networks_are_read_from_the_setting() -> None:
    settings = Settings.model_validate({"egress_allowed_networks": "10.0.0.0/8, ::1"})
    assert settings.egress_allowed_networks == (ip_network("10.0.0.0/8"), ip_network("::1"))


@pytest.mark.parametrize(
    ("url", "bucket", "key"),
    [
        ("s3://shop/a", "shop", "a"),
        ("S3://shop/a b/c%20d?e#f", "shop", "a b/c%20d?e#f"),
        ("s3://shop//a/", "shop", "/a/"),
        ("s3://shop/...", "shop", "..."),
        ("s3://shared/in/a", "shared", "in/a"),
    ],
)
def test_a_bucket_and_its_key(url: str, bucket: str, key: str) -> None:
    assert split_url(url, PLACES) == (bucket, key)


@pytest.mark.parametrize(
    ("said", "url"), [(said, url) for said, urls in WRONG_S3_URLS.items() for url in urls]
)
def test_other_s3_urls_are_refused(said: str, url: str) -> None:
    with pytest.raises(ValueError, match=said):
        split_url(url, PLACES)


def test_the_document_s_urls_are_read_with_its_settings() -> None:
    text = OBJECTS.read_text()
    part = text[text.index("<!-- objects-request") : text.index("<!-- /objects-request")]
    request, variables = re.findall(r"^```\w+\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
    pairs = [line.split("=", 1) for line in variables.splitlines()]
    opened = reader(**{name.removeprefix(PREFIX).lower(): value for name, value in pairs})
    urls = [blob["url"] for blob in json.loads(request)["blobs"]]
    assert len(urls) == 3
    for url in urls:
        opened.check_url(url)
        if not url.startswith("https:"):
            with pytest.raises(InvalidError, match="are off"):
                reader().check_url(url)


@given(st.text())
def test_no_text_leads_out_of_the_named_places(text: str) -> None:
    for url in (f"s3://{text}", f"s3://shared/{text}", f"s3://shared/in/{text}"):
        try:
            bucket, key = split_url(url, ("shared/in",))
        except ValueError:
            continue
        assert bucket == "shared"
        assert key.startswith("in/")
        assert ".." not in key.split("/")


def test_credentials_are_no_options() -> None:
    """They come from the environment: nothing here could store or tell them."""
    options = S3Options(PLACES, "http://127.0.0.1:1", "us-east-1").to_s3fs()
    assert options.keys() == {"endpoint_url", "config_kwargs", "client_kwargs"}


def test_without_the_extra_the_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = [path for path in sys.path if Path(path, "s3fs").exists()]
    require_s3()
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in installed])
    for name in [name for name in sys.modules if name.partition(".")[0] == "s3fs"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(PermanentError, match=r"pip install 'waybill\[s3\]'"):
        open_file_system({})
    with pytest.raises(InvalidError, match=r"pip install 'waybill\[s3\]'"):
        reader(s3_buckets="shop").check_url("s3://shop/a")
