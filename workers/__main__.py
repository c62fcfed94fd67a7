"""`python -m workers` is `celery --app workers.celery_app worker` without the imports of Celery's
other commands, and of Flower, which take as long as our own.
"""

from celery.bin.base import CLIContext
from celery.bin.worker import worker

from workers.celery_app import app

if __name__ == "__main__":
    context = CLIContext(app=app, no_color=False, workdir=None)
    worker.main(obj=context, prog_name="celery worker", auto_envvar_prefix="CELERY_WORKER")
