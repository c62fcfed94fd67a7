"""docker-compose.yml and Dockerfile name only what exists, and agree with each other."""

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import tornado.options
import yaml
from celery import Celery
from celery.bin.celery import celery as celery_command
from uvicorn.main import main as uvicorn_command

from app.broker import JOB_QUEUES, QUEUES
from app.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("waybill")]
CELERY = [name for name in OURS if SERVICES[name]["command"][0] == "celery"]
WORKERS = [name for name in CELERY if SERVICES[name]["command"][3] == "worker"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = DOCKERFILE.replace("\\\n", " ").splitlines()
REQUIRED = re.compile(r"\$\{\w+:\?[^}]+\}")


def options_of(command: click.Command, arguments: list[str]) -> dict[str, Any]:
    """The arguments as the real command line reads them; an unknown one raises."""
    with click.Context(command) as context:
        options, rest, _ = command.make_parser(context).parse_args(list(arguments))
    assert rest == []
    return dict(options)


def worker_options(name: str) -> dict[str, Any]:
    return options_of(celery_command.commands["worker"], SERVICES[name]["command"][4:])


def flower_port() -> int:
    return int(re.findall(r"--port=(\d+)", " ".join(SERVICES["flower"]["command"]))[0])


def api_options() -> dict[str, Any]:
    program, target, *arguments = SERVICES["api"]["command"]
    assert (program, target) == ("uvicorn", "app.main:create_app")
    return options_of(uvicorn_command, arguments)


def listening_ports() -> dict[str, int]:
    """The port each service takes connections at, as its own command or image says."""
    redis = SERVICES["redis"]["command"]
    mongo = SERVICES["mongo"]["command"]
    return {
        "api": int(api_options()["port"]),
        "flower": flower_port(),
        "redis": int(redis[redis.index("--port") + 1]),
        "mongo": int(mongo[mongo.index("--port") + 1]),
        "postgres": 5432,  # the image's default: https://hub.docker.com/_/postgres
    }


def test_every_part_of_the_stack_is_there() -> None:
    assert set(OURS) == {"api", "worker", "control", "webhook", "beat", "flower"}
    assert set(SERVICES) - set(OURS) == {"mongo", "redis", "postgres"}


def test_the_api_runs_a_factory_that_exists_and_is_published_on_the_loopback_only() -> None:
    options = api_options()
    assert options["factory"] is True
    assert options["host"] == "0.0.0.0"
    assert callable(import_module("app.main").create_app)
    assert all(
        port.startswith("127.0.0.1:")
        for each in SERVICES.values()
        for port in each.get("ports", ())
    )


@pytest.mark.parametrize("name", CELERY)
def test_celery_runs_our_app(name: str) -> None:
    app_option, module, program = SERVICES[name]["command"][1:4]
    assert app_option == "--app"
    assert isinstance(import_module(module).app, Celery)
    assert program in {*celery_command.commands, "flower"}


def test_beat_and_flower_take_their_options() -> None:
    beat = options_of(celery_command.commands["beat"], SERVICES["beat"]["command"][4:])
    assert beat["remote_control"] is True  # or its health check asks nobody
    import_module("flower.options")  # declares them
    known = {name for name, _ in tornado.options.options.items()}
    for option in SERVICES["flower"]["command"][4:]:
        assert option.removeprefix("--").partition("=")[0] in known


def test_the_workers_serve_every_queue_once() -> None:
    named = [worker_options(name).get("queues") for name in WORKERS]
    served = [queue for queues in named for queue in (queues.split(",") if queues else JOB_QUEUES)]
    assert sorted(served) == sorted(QUEUES)


@pytest.mark.parametrize("name", [*WORKERS, "beat"])
def test_health_checks_ask_the_node_that_runs_here(name: str) -> None:
    node = "celerybeat@%h" if name == "beat" else worker_options(name)["hostname"]
    asked = SERVICES[name]["healthcheck"]["test"][1]
    assert f"--destination {node.replace('%h', '$$HOSTNAME')} " in asked
    assert f"--app {SERVICES[name]['command'][2]} " in asked


def test_every_variable_of_ours_is_a_setting() -> None:
    named = {key for name in OURS for key in SERVICES[name]["environment"]}
    named |= set(re.findall(r"\$\{(\w+)", TEXT))
    ours = {name for name in named if name.startswith(PREFIX)}
    assert {"WAYBILL_MONGO_URL", "WAYBILL_REDIS_URL", "WAYBILL_POSTGRES_URL"} <= ours
    assert {name.removeprefix(PREFIX).lower() for name in ours} <= set(Settings.model_fields)


def test_urls_name_a_service_and_the_port_it_listens_at() -> None:
    ports = listening_ports()
    for name in OURS:
        for key, value in SERVICES[name]["environment"].items():
            if key.endswith("_URL"):
                address = urlsplit(REQUIRED.sub("x", value))
                assert address.hostname is not None
                assert address.port == ports[address.hostname]


def test_published_and_checked_ports_are_the_ones_listened_at() -> None:
    for name, port in listening_ports().items():
        for published in SERVICES[name].get("ports", ()):
            assert published.split(":")[-1] == str(port)
        checked = " ".join(SERVICES[name]["healthcheck"]["test"])
        assert set(re.findall(r"\b\d{4,5}\b", checked)) == {str(port)}


def test_the_replica_set_has_one_name() -> None:
    command = SERVICES["mongo"]["command"]
    name = command[command.index("--replSet") + 1]
    assert f"_id: '{name}'" in SERVICES["mongo"]["healthcheck"]["test"][-1]
    assert f"replicaSet={name}" in SERVICES["api"]["environment"]["WAYBILL_MONGO_URL"]


def test_whoever_is_waited_for_has_a_health_check() -> None:
    for service in SERVICES.values():
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        for name, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[name]


def test_volumes_are_declared_and_used() -> None:
    mounted = {
        volume.split(":")[0] for each in SERVICES.values() for volume in each.get("volumes", ())
    }
    assert mounted == set(COMPOSE["volumes"])


def test_the_workers_share_a_spool_that_their_user_may_write() -> None:
    for name in WORKERS:
        folder = SERVICES[name]["environment"]["WAYBILL_SPOOL_DIR"]
        assert SERVICES[name]["volumes"] == [f"spool:{folder}"]
    user = INSTRUCTIONS.index("USER waybill")
    home = INSTRUCTIONS.index("WORKDIR /home/waybill")
    made = next(n for n, line in enumerate(INSTRUCTIONS) if line.startswith("RUN mkdir"))
    assert user < home < made
    assert folder == f"/home/waybill/{INSTRUCTIONS[made].split()[4]}"


def test_secrets_come_from_outside_and_must_be_given() -> None:
    places = {
        ("api", "WAYBILL_API_KEY"),
        ("flower", "FLOWER_BASIC_AUTH"),
        ("postgres", "POSTGRES_PASSWORD"),
        *((name, "WAYBILL_POSTGRES_URL") for name in OURS),
    }
    for name, key in places:
        assert REQUIRED.search(SERVICES[name]["environment"][key])
    holders = {name for name in OURS if "WAYBILL_API_KEY" in SERVICES[name]["environment"]}
    assert holders == {"api"}


def test_the_image_installs_what_runs_in_it_at_the_lock_s_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (named,) = re.findall(r"\.whl\)\[([a-z0-9,]+)\]", DOCKERFILE)
    assert {"server"} <= set(named.split(",")) <= set(project["optional-dependencies"])
    assert not {"embedded", "bench", "dev"} & set(named.split(","))
    installs = re.findall(r"pip install (.+)", "\n".join(INSTRUCTIONS))
    assert len(installs) == 3
    for each in installs:
        assert each.startswith(("--constraint requirements.lock ", "--no-deps "))


def test_the_image_copies_what_exists_and_does_not_run_as_root() -> None:
    sources = [
        source
        for line in INSTRUCTIONS
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
        if "*" not in source
    ]
    assert {"requirements.lock", "app/", "workers/", "beat_schedule.py"} <= set(sources)
    assert all((ROOT / source).exists() for source in sources)
    users = [line.split()[1] for line in INSTRUCTIONS if line.startswith("USER ")]
    assert users
    assert users[-1] not in {"root", "0"}
    assert INSTRUCTIONS[-1].startswith('CMD ["uvicorn", "app.main:create_app"')
