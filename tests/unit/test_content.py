"""Contents of blobs: inline forms, and files that must lie in the operator's folders."""

import asyncio
import base64
import ctypes
import os
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidError, PermanentError, TransientError
from app.fetch.file import FileReader
from app.fetch.reader import ContentReader
from app.fetch.rooted_file import REFUSED, open_beneath, url_path
from app.resources.content import blob_url, decode_file, decode_inline
from app.resources.property import PropertyType

IMAGE = PropertyType.IMAGE
TEXT = PropertyType.TEXT
JSON = PropertyType.JSON

MAX_BYTES = 1000
SECRET = b"secret"

# renameat2(2); Python has no name for it.
AT_FDCWD = -100
RENAME_EXCHANGE = 2


def files(*roots: Path, max_bytes: int = MAX_BYTES) -> ContentReader:
    return ContentReader({"file": FileReader(roots, max_bytes)})


def read(reader: ContentReader, url: str) -> bytes:
    return asyncio.run(reader.read(url))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_bytes(b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_bytes(SECRET)
    return folder


@pytest.fixture
def reader(root: Path) -> ContentReader:
    return files(root)


def test_inline_content_by_type() -> None:
    assert decode_inline(TEXT, "https://not.a/url") == "https://not.a/url"
    assert decode_inline(TEXT, {"text": "a"}) == "a"
    assert decode_inline(JSON, {"text": "a"}) == {"text": "a"}
    assert decode_inline(PropertyType.INTEGER, 3) == 3
    assert decode_inline(IMAGE, base64.b64encode(b"png").decode()) == b"png"
    assert decode_inline(IMAGE, {"base64": "cG5n", "mime_type": "image/png"}) == b"png"
    assert decode_inline(IMAGE, "data:image/svg+xml;charset=utf-8;base64,cG5n") == b"png"


@pytest.mark.parametrize(
    ("type_", "data", "said"),
    [
        (TEXT, 3, "must be a string"),
        (TEXT, {"text": 3}, "must be a string"),
        (TEXT, {"base64": "cG5n"}, "must be a string"),
        (TEXT, "\ud800", "lone surrogate"),
        (JSON, float("nan"), "NaN"),
        (IMAGE, "cG5", "not valid base64"),
        (IMAGE, "cG5n!", "not valid base64"),
        (IMAGE, "héllo", "not valid base64"),
        (IMAGE, "", "empty"),
        (IMAGE, 3, "comes as base64"),
        (IMAGE, {"base64": 3}, "comes as base64"),
        (IMAGE, {"base64": "cG5n", "bucket": "b"}, "comes as base64"),
        (IMAGE, "data:image/png,raw", "reads data:image/png;base64"),
        (IMAGE, "data:text/html;base64,cG5n", "'text/html', not an image"),
    ],
)
def test_wrong_inline_content_is_named(type_: PropertyType, data: object, said: str) -> None:
    with pytest.raises(InvalidError, match=said) as info:
        decode_inline(type_, data, location=("blobs", 0, "data"))
    assert info.value.problems[0].location == ("blobs", 0, "data")


@pytest.mark.parametrize(
    ("type_", "data"), [(TEXT, "é" * 6), (IMAGE, "AAAA" * 4), (JSON, ["abcdefghij"])]
)
def test_inline_content_is_bounded_in_bytes(type_: PropertyType, data: object) -> None:
    decode_inline(type_, data, max_bytes=14)
    with pytest.raises(InvalidError, match="more than the 11 that a blob may have"):
        decode_inline(type_, data, max_bytes=11)


@given(st.binary(min_size=1), st.integers(1, 80))
def test_base64_comes_back_whatever_its_line_breaks(content: bytes, width: int) -> None:
    encoded = base64.b64encode(content).decode()
    lines = "\r\n".join(encoded[i : i + width] for i in range(0, len(encoded), width))
    assert decode_inline(IMAGE, lines) == content
    assert decode_inline(IMAGE, f"data:image/png;base64,{encoded}") == content


def test_where_the_url_of_a_blob_stands() -> None:
    assert blob_url(TEXT, None, "file:///a") == "file:///a"
    assert blob_url(TEXT, {"url": "file:///a"}, None) == "file:///a"
    assert blob_url(IMAGE, "s3://bucket/a", None) == "s3://bucket/a"
    assert blob_url(TEXT, "file:///a", None) is None
    assert blob_url(JSON, {"url": "file:///a"}, None) is None
    assert blob_url(IMAGE, "aGVsbG8=", None) is None


def test_a_file_is_decoded_by_the_blob_s_type() -> None:
    assert decode_file(TEXT, "\ufeffé".encode()) == "é"
    assert decode_file(IMAGE, b"\x89PNG") == b"\x89PNG"
    assert decode_file(JSON, b'{"a": [1]}') == {"a": [1]}
    assert decode_file(PropertyType.INTEGER, b"3") == 3


@pytest.mark.parametrize(
    ("type_", "content"),
    [
        (TEXT, b"\xff"),
        (JSON, b"{"),
        (JSON, b"NaN"),
        (JSON, b"[" * 100_000),
        (JSON, b"9" * 10_000),
        (PropertyType.INTEGER, b"3.5"),
    ],
)
def test_a_file_of_other_content_fails_for_good(type_: PropertyType, content: bytes) -> None:
    with pytest.raises(PermanentError, match="the file"):
        decode_file(type_, content)


def test_a_file_in_a_root_is_read(reader: ContentReader, root: Path) -> None:
    url = f"file://{root}/sub/a.txt"
    reader.check_url(url)
    assert read(reader, url) == b"inside"
    assert read(reader, url.replace("file://", "FILE://localhost")) == b"inside"
    assert read(reader, f"file://{root}//sub/./a.txt") == b"inside"


@pytest.mark.parametrize(
    "name", ["a b.txt", "100%.txt", "é.txt", "q?x#y", "..a", "back\\slash", "\udcff"]
)
def test_any_name_can_be_percent_encoded(reader: ContentReader, root: Path, name: str) -> None:
    (root / name).write_bytes(b"named")
    assert read(reader, f"file://{root}/{quote(os.fsencode(name))}") == b"named"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sub/a.txt",
        "/etc/passwd",
        "https://example.org/a",
        "s3://bucket/a",
        "gopher://x",
        "file:/etc/passwd",
        "file://host/etc/passwd",
        "file://127.0.0.1{root}/sub/a.txt",
        "file://{root}/../outside/a.txt",
        "file://{root}/sub/%2e%2E/%2e./outside/a.txt",
        "file://{root}/sub%2fa.txt",
        "file://{root}/sub/a.txt%00.png",
        "file://{root}/sub/a.txt%",
        "file://{root}/sub/a.txt%zz",
        "file://{root}/sub/a.txt?x=1",
        "file://{root}/sub/a.txt#x",
        "file://{root}/sub/\na.txt",
        "file://{root}/\ud800",
        "file://{root}x/a.txt",
        "file:///etc/passwd",
        "file:///",
    ],
)
def test_urls_that_can_never_be_read(reader: ContentReader, root: Path, url: str) -> None:
    url = url.replace("{root}", str(root))
    with pytest.raises(InvalidError) as info:
        reader.check_url(url)
    assert str(root) not in str(info.value)
    with pytest.raises(PermanentError):
        read(reader, url)


def test_without_roots_the_operator_s_setting_is_named(root: Path) -> None:
    url = f"file://{root}/sub/a.txt"
    with pytest.raises(InvalidError, match="WAYBILL_FILE_ROOTS"):
        files().check_url(url)
    with pytest.raises(PermanentError, match="WAYBILL_FILE_ROOTS"):
        read(files(), url)


def test_missing_and_outside_are_answered_alike(reader: ContentReader, root: Path) -> None:
    outside = root.parent / "outside"
    (root / "to_file").symlink_to(outside / "a.txt")
    (root / "to_nothing").symlink_to(outside / "nothing")
    (root / "to_folder").symlink_to(outside)
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    paths = [
        *(f"{root}/{name}" for name in ("nothing", "to_file", "to_nothing", "to_folder/a.txt")),
        *(
            f"{root}/{name}"
            for name in ("to_folder/nothing", "up/outside/a.txt", "loop", "x" * 300)
        ),
        f"{root}/sub/a.txt/b",
        f"{outside}/a.txt",
        f"{outside}/nothing",
    ]
    for path in paths:
        with pytest.raises(PermanentError) as info:
            read(reader, f"file://{path}")
        assert str(info.value) == REFUSED


def test_links_that_stay_in_a_root_are_followed(reader: ContentReader, root: Path) -> None:
    (root / "link").symlink_to("sub/a.txt")
    (root / "folder").symlink_to(root / "sub")
    assert read(reader, f"file://{root}/link") == b"inside"
    assert read(reader, f"file://{root}/folder/a.txt") == b"inside"


def test_a_root_may_be_a_link_itself(root: Path) -> None:
    alias = root.parent / "alias"
    alias.symlink_to(root)
    reader = files(alias)
    assert read(reader, f"file://{alias}/sub/a.txt") == b"inside"
    assert read(reader, f"file://{root}/sub/a.txt") == b"inside"


def test_links_between_two_roots_are_followed(root: Path) -> None:
    other = root.parent / "outside"
    (root / "link").symlink_to(other / "a.txt")
    assert read(files(root, other), f"file://{root}/link") == SECRET


def test_what_is_no_regular_file_never_blocks(reader: ContentReader, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        # A socket's path is bounded to 108 bytes: bind it by a short relative one.
        listener.bind(os.path.relpath(root / "socket"))
        for name in ("pipe", "socket", "sub", ""):
            with pytest.raises(PermanentError):
                read(reader, f"file://{root}/{name}")
    device = files(Path("/dev"))
    with pytest.raises(PermanentError, match="not a regular file"):
        read(device, "file:///dev/zero")


def test_files_are_bounded(reader: ContentReader, root: Path) -> None:
    (root / "full").write_bytes(b"x" * MAX_BYTES)
    (root / "over").write_bytes(b"x" * (MAX_BYTES + 1))
    assert len(read(reader, f"file://{root}/full")) == MAX_BYTES
    with pytest.raises(PermanentError, match="more than the 1000 bytes"):
        read(reader, f"file://{root}/over")


def test_a_file_that_hides_its_size_is_bounded() -> None:
    reader = files(Path("/proc"), max_bytes=10)
    with pytest.raises(PermanentError, match="more than the 10 bytes"):
        read(reader, f"file:///proc/{os.getpid()}/status")


@pytest.mark.parametrize("parts", [("link",), ("folder", "a.txt")])
def test_nothing_is_opened_through_a_link(root: Path, parts: tuple[str, ...]) -> None:
    (root / "link").symlink_to("sub/a.txt")
    (root / "folder").symlink_to("sub")
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        os.close(open_beneath(root, parts))


def test_trouble_of_the_process_is_transient(reader: ContentReader, root: Path) -> None:
    url = f"file://{root}/sub/a.txt"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with asyncio.Runner() as runner:
        runner.get_loop()  # which takes descriptors of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            with pytest.raises(TransientError, match="Too many open files"):
                runner.run(reader.read(url))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert runner.run(reader.read(url)) == b"inside"


@pytest.fixture
def swapping(root: Path) -> Iterator[None]:
    """A folder that is now itself, now a link out of the root, exchanged without a gap."""
    (root / "link").symlink_to(root.parent / "outside")
    folder, link = os.fsencode(root / "sub"), os.fsencode(root / "link")
    rename = ctypes.CDLL(None).renameat2
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            rename(AT_FDCWD, folder, AT_FDCWD, link, RENAME_EXCHANGE)

    swapper = threading.Thread(target=swap)
    swapper.start()
    yield
    stop.set()
    swapper.join()


@pytest.mark.usefixtures("swapping")
def test_a_folder_swapped_for_a_link_leads_nowhere(reader: ContentReader, root: Path) -> None:
    seen = set()
    for _ in range(2_000):
        try:
            seen.add(read(reader, f"file://{root}/sub/a.txt"))
        except PermanentError as exc:
            seen.add(str(exc).encode())
    assert seen == {b"inside", REFUSED.encode()}


@given(st.text())
def test_a_url_is_a_path_or_a_value_error(text: str) -> None:
    for url in (text, f"file://{text}", f"file:///{text}"):
        try:
            path = url_path(url)
        except ValueError:
            continue
        assert path.is_absolute()
        assert ".." not in path.parts
