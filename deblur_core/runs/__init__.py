"""The engine of every experiment: jobs that are data, results that survive a kill, any executor, provenance.

    @task(numerics=1)
    def blur_once(context, *, seed, width):            # in an importable module
        ...
        return {"psnr": 31.2}, {"image": array}

    jobs = [Job.create(blur_once, seed=seed, width=5) for seed in range(8)]
    with default_executor(workers=2) as executor:
        results = run_jobs(jobs, Store("results"), executor)

Nothing here knows what the jobs are about.
"""

from .executor import default_executor, end_with_parent, run_jobs, run_stored
from .job import Checkpoint, Context, Job, Result, from_settings, run_job, task
from .provenance import available_cores, computes_in_bfloat16, provenance
from .store import Store
from .streams import own_stream

__all__ = [
    "Checkpoint",
    "Context",
    "Job",
    "Result",
    "Store",
    "available_cores",
    "computes_in_bfloat16",
    "default_executor",
    "end_with_parent",
    "from_settings",
    "own_stream",
    "provenance",
    "run_job",
    "run_jobs",
    "run_stored",
    "task",
]
