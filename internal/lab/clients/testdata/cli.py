"""Runs commands of the AWS CLI one after the other in this process.

Starting Python, and reading the CLI's modules and the models of the services, takes most of the time of a command; this
does it once. What a command does is what the program aws does: its main function, with its arguments, environment,
folder and output.

Lines of JSON come in: {"args": […], "env": {…}, "dir": …}, and go out: {"status": …, "stdout": …, "stderr": …}.
"""

import json
import os
import sys
import tempfile
import traceback

import awscli.clidriver

sessions = sys.modules.get("awscli.botocore.session") or sys.modules["botocore.session"]  # v2 has its own
create, shared = sessions.create_loader, {}


def loader(path=None):
    """One loader for all commands: it remembers the models that it has read."""
    if path not in shared:
        shared[path] = create(path)
    return shared[path]


sessions.create_loader = loader

OWN = {"AWS_DATA_PATH": os.environ["AWS_DATA_PATH"]}  # set by awscli when it is read


def call(arguments):
    sys.argv = ["aws", *arguments]
    try:
        return awscli.clidriver.main() or 0
    except SystemExit as e:
        return e.code or 0
    except BaseException:
        traceback.print_exc()
        return 255


def run(command):
    os.chdir(command["dir"])
    os.environ.clear()
    os.environ.update(command["env"], **OWN)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        status = call(command["args"])
        texts = []
        for stream, f in (sys.stdout, out), (sys.stderr, err):
            stream.flush()
            f.seek(0)
            texts.append(f.read().decode(errors="replace"))
        return {"status": status, "stdout": texts[0], "stderr": texts[1]}


answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), file=answers, flush=True)
