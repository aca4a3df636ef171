"""Runs what a client is to see, one case after the other."""
import asyncio
import sys


def run(cases, seconds):
    """Prints `PASS name` or `FAIL name: why` for each of these functions, and ends the program."""
    async def all_of_them():
        failures = 0
        for case in cases:
            try:
                await asyncio.wait_for(case(), seconds)
                print(f"PASS {case.__name__}", flush=True)
            except BaseException as error:
                failures += 1
                print(f"FAIL {case.__name__}: {type(error).__name__}: {error}", flush=True)
        return failures

    sys.exit(1 if asyncio.run(all_of_them()) else 0)
