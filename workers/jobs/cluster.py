"""Executions of clusters, as a task."""

from importlib import import_module

from app.clusters.cluster import TASK_TYPE
from workers import process
from workers.attempt import Attempt, Completion
from workers.celery_app import app
from workers.job import Job

# Loads scikit-learn and matplotlib, seconds and 100 MiB that only a process which fits is to pay.
EXECUTION = "workers.jobs.cluster_execution"


@app.task(base=Job, bind=True, name=TASK_TYPE, submittable=False, suspendable=True)
def build_cluster(self: Job, attempt: Attempt) -> Completion:
    """Runs the execution that the second input names, of the cluster that the first does."""
    worker = process.current(self.app)
    completion: Completion = import_module(EXECUTION).carry_out(worker, attempt)
    return completion
