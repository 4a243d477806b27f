"""``make mutants``: all planted mistakes, or those whose file or name contains one of the given words.

Every run renews its own lines of the report; the exit status is 1 if a mistake survived.
"""

import sys
import time

from mutation.harness import MUTANTS, Outcome, line, outcomes, renew, summary


def main() -> int:
    words = sys.argv[1:]
    chosen = [m for m in MUTANTS if not words or any(word in f"{m.file}: {m.name}" for word in words)]
    start = time.perf_counter()
    found: list[Outcome] = []
    for outcome in outcomes(chosen):
        found.append(outcome)
        print(f"[{len(found)}/{len(chosen)}] {line(outcome)} ({outcome.seconds:.1f} s)", flush=True)
    print(f"{summary(map(line, found))} ({time.perf_counter() - start:.0f} s)")
    renew(found)
    return int(any(not outcome.caught_by for outcome in found))


if __name__ == "__main__":
    sys.exit(main())
