"""What Celery runs: the job base, the jobs, control and maintenance tasks."""
