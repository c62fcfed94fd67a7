"""What `waybill up` decides before it starts anything."""

import stat
import sys
from pathlib import Path

import pytest

from app.embedded.layout import Layout
from app.embedded.plan import plan
from app.embedded.port import free_ports
from app.embedded.readiness import lacking
from app.embedded.role import KEYS, ROLES, programs
from app.embedded.wheel import binary, require_loadable
from app.errors import SettingsError
from app.settings import Settings


def settings(**values: str) -> Settings:
    return Settings.model_validate(values)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "data")
    layout.make()
    return layout


def test_only_servers_that_no_setting_names_are_started(layout: Layout) -> None:
    servers, stack = plan(settings(mongo_url="mongodb://db.example/"), layout, workers=2)
    assert [server.role for server in servers] == ["redis", "postgres"]
    assert stack.mongo_url == "mongodb://db.example/"
    assert stack.redis_url == servers[0].url
    assert stack.postgres_url == servers[1].url
    assert not (layout.data_dir / "mongo_password").exists()


def test_keys_are_made_once_and_only_their_owner_reads_them(layout: Layout) -> None:
    _, first = plan(settings(), layout, workers=2)
    _, second = plan(settings(), layout, workers=2)
    assert first.api_key.startswith("sk_")
    assert len(first.api_key) == len("sk_") + 43  # 32 bytes in base64 without padding
    assert (first.api_key, first.flower_password) == (second.api_key, second.flower_password)
    assert stat.S_IMODE((layout.data_dir / "api_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(layout.data_dir.stat().st_mode) == 0o700


def test_keys_of_the_operator_are_used_and_not_kept(layout: Layout) -> None:
    given = settings(api_key="sk_mine", flower_password="secret")
    _, stack = plan(given, layout, workers=2)
    assert (stack.api_key, stack.flower_password) == ("sk_mine", "secret")
    assert not (layout.data_dir / "api_key").exists()


@pytest.mark.parametrize(
    ("field", "value"), [("flower_user", "a:b"), ("flower_user", "a,b"), ("flower_password", "a,b")]
)
def test_a_login_that_flower_would_misread_is_refused(
    layout: Layout, field: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"^WAYBILL_{field.upper()}"):
        plan(settings(**{field: value}), layout, workers=2)


def test_each_key_goes_to_those_who_need_it_and_to_no_command_line(layout: Layout) -> None:
    inherited = {"WAYBILL_API_KEY": "sk_mine", "WAYBILL_LEASE_S": "20", "PYTHONPATH": "."}
    _, stack = plan(settings(), layout, workers=3)
    started = {program.role: program for program in programs(stack, layout, inherited)}
    assert set(started) == set(ROLES)
    holders = {key: {r for r, p in started.items() if key in p.env} for key in KEYS}
    assert holders == {
        "WAYBILL_API_KEY": {"api"},
        "WAYBILL_SECRET_KEY": {"api", "webhook"},
        "FLOWER_BASIC_AUTH": {"flower"},
        "WAYBILL_FLOWER_PASSWORD": set(),
    }
    for program in started.values():
        assert program.env["WAYBILL_LEASE_S"] == "20"
        assert program.env["WAYBILL_MONGO_URL"] == stack.mongo_url
        assert program.env["PYTHONPATH"] == str(Path.cwd())
        line = " ".join(program.argv)
        assert stack.api_key not in line
        assert stack.secret_key not in line
        assert stack.flower_password not in line


def test_threads_of_workers_wait_without_spinning_unless_it_is_said_otherwise(
    layout: Layout,
) -> None:
    _, stack = plan(settings(), layout, workers=1)
    for inherited, policy in (({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")):
        started = {program.role: program for program in programs(stack, layout, inherited)}
        assert started["worker"].env["OMP_WAIT_POLICY"] == policy


def test_runs_wait_in_a_folder_that_outlives_the_embedded_servers_port(layout: Layout) -> None:
    _, stack = plan(settings(), layout, workers=1)
    mine = {"WAYBILL_SPOOL_DIR": "/mine"}
    theirs = {"WAYBILL_POSTGRES_URL": "postgresql://db.example/"}
    named = [
        programs(stack, layout, inherited)[0].env.get("WAYBILL_SPOOL_DIR")
        for inherited in ({}, mine, theirs)
    ]
    assert named == [str(layout.data_dir / "spool" / "embedded"), "/mine", None]


def test_celery_nodes_of_two_data_folders_have_different_names(tmp_path: Path) -> None:
    names = set()
    for folder in (tmp_path / "one", tmp_path / "two"):
        layout = Layout(folder)
        layout.make()
        _, stack = plan(settings(), layout, workers=1)
        for program in programs(stack, layout, {}):
            if "--hostname" in program.argv:
                names.add(program.argv[program.argv.index("--hostname") + 1])
    assert len(names) == 6


def test_free_ports_are_different_ones() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(1024 <= port <= 65535 for port in ports)


def test_without_the_wheel_the_sentence_names_the_variable() -> None:
    with pytest.raises(SettingsError, match="set WAYBILL_REDIS_URL to the URL of a Redis"):
        binary("no_such_package", inside="bin/x", server="Redis", variable="WAYBILL_REDIS_URL")
    with pytest.raises(SettingsError, match="set WAYBILL_REDIS_URL"):
        binary("app", inside="bin/x", server="Redis", variable="WAYBILL_REDIS_URL")


def test_a_missing_system_library_is_named_with_the_packages_to_install(tmp_path: Path) -> None:
    server = tmp_path / "mongod"
    server.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "sys.exit('mongod: error while loading shared libraries: libcrypto.so.3: "
        "cannot open shared object file: No such file or directory')\n"
    )
    server.chmod(0o755)
    with pytest.raises(SettingsError) as caught:
        require_loadable(server, server="MongoDB", variable="X_URL", packages="libssl3 libcurl4")
    assert str(caught.value) == (
        "the embedded MongoDB needs libcrypto.so.3, which this system lacks: install it (on Debian "
        "and Ubuntu: apt-get install libssl3 libcurl4), or set X_URL to the URL of a MongoDB of "
        "yours"
    )


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        ({"status": "OK", "components": {}}, ""),
        (
            {
                "status": "DEGRADED",
                "components": {
                    "mongo": {"status": "OK", "detail": None},
                    "workers": {"status": "DEGRADED", "detail": "0 answer"},
                    "beat": {"status": "DEGRADED", "detail": None},
                },
            },
            "workers (0 answer), beat (DEGRADED)",
        ),
        ({"status": "DEGRADED", "components": {}}, "the API calls itself degraded"),
        ([], "the API answers without a word on its health"),
    ],
)
def test_what_is_lacking_is_said_by_name(health: object, expected: str) -> None:
    assert lacking(health) == expected
