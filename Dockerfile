# One image for the API, the workers, Beat and Flower; docker-compose.yml says which of them runs.
FROM python:3.11-slim AS wheel

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
COPY requirements.lock ./
RUN pip install --constraint requirements.lock hatchling editables

COPY pyproject.toml README.md LICENSE* ./
# Without the code: what it depends on, and nothing that changes with each line of it.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir bare .

COPY beat_schedule.py ./
COPY waybill/ waybill/
COPY app/ app/
COPY workers/ workers/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir whole .

FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
COPY requirements.lock ./
COPY --from=wheel /src/bare/ bare/
# Without the servers of `embedded`: here they run from images of their own.
RUN pip install --constraint requirements.lock "$(echo bare/*.whl)[server,s3,otel]"

COPY --from=wheel /src/whole/ whole/
RUN pip install --no-deps --force-reinstall whole/*.whl

RUN useradd --create-home --uid 10001 waybill
USER waybill
WORKDIR /home/waybill
RUN mkdir -m 700 spool # a volume that is mounted here belongs to whom this belongs to

EXPOSE 8000
CMD ["uvicorn", "app.main:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]
