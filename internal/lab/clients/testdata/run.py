"""Runs checks and tells of each as a line of JSON: python run.py MODULE…

A check is a function of a module whose name starts with "check_"; its first line of documentation says what it proves.
"""

import importlib
import inspect
import json
import sys
import traceback

import shapes
from lab import MODERN, client

checker = shapes.Checker(strict_members=MODERN)
checker.install()


def main():
    for name in sys.argv[1:]:
        module = importlib.import_module(name)
        for check_name, check in inspect.getmembers(module, inspect.isfunction):
            if not check_name.startswith("check_") or check.__module__ != name:
                continue
            before = len(checker.problems)
            error = ""
            try:
                check()
            except Exception:
                error = traceback.format_exc()
            print(json.dumps({
                "name": f"{name} {check_name[6:]}: {inspect.getdoc(check).splitlines()[0]}", "error": error,
                "shapes": checker.problems[before:],
            }), flush=True)
    called = sorted(f"{s} {o}" for s, o in checker.seen)
    known = sorted({f"{s} {o}" for s in {s for s, _ in checker.seen} for o in client(s).meta.service_model.operation_names})
    print(json.dumps({"called": called, "known": known}), flush=True)


main()
