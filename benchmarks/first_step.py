"""`python -m benchmarks.first_step WORKLOAD`: from the start of a process to the end of one step; prints the seconds of the parts."""

from __future__ import annotations

import json
import sys
import time

from benchmarks.workloads import WORKLOADS


def main() -> None:
    """Imports nothing that a training would not."""
    start = time.perf_counter()
    from benchmarks.contenders import own

    imported = time.perf_counter()
    w = WORKLOADS[sys.argv[1]]
    program = own.program(w)
    program.prepare()
    compiled = time.perf_counter()
    import numpy as np

    x, y = np.zeros((w.batch, *w.inputs), np.float32), np.zeros(w.batch, np.int32)
    program.run(x, y, np.arange(w.batch)[None])
    stepped = time.perf_counter()
    print(json.dumps({"import": imported - start, "compile": compiled - imported, "step": stepped - compiled}), flush=True)


if __name__ == "__main__":
    main()
