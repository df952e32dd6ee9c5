# SPDX-License-Identifier: Apache-2.0
"""A Lambda function for tests: speaks the Runtime API, writes down what it gets, and fails as its records ask for.

Environment: RECORDING, a directory, where `calls` gets a line of JSON at the begin and at the end of each invocation;
DELAY_MS, how long an invocation takes.  A record's value is text; of the form WORD:ID it makes the function, once for
each ID (always, for `poison`):

    error     report an error                  crash     end its process
    hang      never answer                     stumble   name this record as the first failed one
    stranger  name a record that was not in the event    malformed  answer with what is no batch response
    poison    report an error, every time      wait      go on once there is a file ID in RECORDING
"""

import base64
import http.client
import json
import os
import pathlib
import time

PATH = "/2018-06-01/runtime"
RECORDING = pathlib.Path(os.environ["RECORDING"])
DELAY_SECONDS = int(os.environ.get("DELAY_MS", "0")) / 1000


def write_down(entry):
    line = json.dumps({"pid": os.getpid(), "time": time.monotonic(), **entry}) + "\n"
    with open(RECORDING / "calls", "ab", buffering=0) as file:  # one write: lines of several processes do not mix
        file.write(line.encode())


def first_time(name):
    try:
        os.close(os.open(RECORDING / f"did-{name.replace('/', '_')}", os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def response_to(event):
    """The body to answer with; raises RuntimeError to report an error."""
    for key, records in event["records"].items():
        for record in records:
            value = base64.b64decode(record.get("value") or "").decode(errors="replace")
            word, _, _ = value.partition(":")
            if word == "poison":
                raise RuntimeError(f"poison at {record['offset']}")
            if word == "wait":
                while not (RECORDING / value.removeprefix("wait:")).exists():
                    time.sleep(0.01)
            if word not in ("error", "crash", "hang", "stumble", "stranger", "malformed") or not first_time(value):
                continue
            if word == "error":
                raise RuntimeError("as asked")
            if word == "crash":
                os._exit(3)
            if word == "hang":
                time.sleep(3600)
            if word == "malformed":
                return "certainly"
            offset = record["offset"] + (1_000_000 if word == "stranger" else 0)
            return {"batchItemFailures": [{"itemIdentifier": {"partition": key, "offset": offset}}]}
    return {"batchItemFailures": []}


def main():
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def call(method, path, body=None, headers=None):
        api.request(method, PATH + path, body, headers or {})
        answer = api.getresponse()
        return answer, answer.read()

    while True:
        answer, body = call("GET", "/invocation/next")
        request = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        event = json.loads(body)
        write_down({"begin": request, "bytes": len(body), "event": event})
        time.sleep(DELAY_SECONDS)
        try:
            response = json.dumps(response_to(event))
            write_down({"end": request})
            call("POST", f"/invocation/{request}/response", response)
        except RuntimeError as error:
            write_down({"end": request, "error": str(error)})
            failure = json.dumps({"errorMessage": str(error), "errorType": "Recording.Error", "stackTrace": []})
            call("POST", f"/invocation/{request}/error", failure,
                 {"Lambda-Runtime-Function-Error-Type": "Recording.Error"})


if __name__ == "__main__":
    main()
