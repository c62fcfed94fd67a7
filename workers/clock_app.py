"""The Celery object of Beat and Flower, which run no task: they start without the jobs' imports.

`python -m workers.clock_app` is `celery --app workers.clock_app beat` without the imports of
Celery's other commands.
"""

from celery.bin.base import CLIContext
from celery.bin.beat import beat

from workers.celery_object import make_app

app = make_app(with_jobs=False)

if __name__ == "__main__":
    context = CLIContext(app=app, no_color=False, workdir=None)
    beat.main(obj=context, prog_name="celery beat", auto_envvar_prefix="CELERY_BEAT")
