#!/usr/bin/python3
"""The events of a run against docs/formats.md: every kind, with exactly the members that are promised.

    events.py     SGDIST is the program, WORK a scratch folder, DOCS the folder of the docs
"""
import datetime
import json
import os
import pathlib
import re
import shutil
import sys

import bad_input

FOLDER = bad_input.WORK.resolve() / "study"


def promised():
    """{event: its members} of the table in docs/formats.md."""
    text = (pathlib.Path(os.environ["DOCS"]) / "formats.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (.*) \|$", text[text.index("## Events"):text.index("## The lock")], re.M)
    return {event: set(re.findall(r"`([a-z_]+)`", members)) - {"signal", "max_hours"}
            for events, members in rows for event in re.findall(r"`(\w+)`", events)}


def events(kinds):
    """The lines since the last call, which must be of these kinds, in this order."""
    path = FOLDER / "out.h5.events.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    path.unlink()
    assert [line["event"] for line in lines] == kinds, lines
    for line in lines:
        assert set(line) - {"time", "event"} == TABLE[line["event"]], line
        at = datetime.datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
        assert abs((datetime.datetime.utcnow() - at).total_seconds()) < 300, line
    return lines


def run(exit_code, *args, ranks=1):
    command = [bad_input.SGDIST, "job.yaml", *args]
    if ranks > 1:
        command = ["mpirun", "-n", str(ranks), *command]
    done = bad_input.run(command, FOLDER)
    assert done.returncode == exit_code, done.stdout
    return done


def stopped_and_ended():
    run(85, "--max-hours", "1e-9")
    start, stop, end = events(["run_started", "stopping", "run_ended"])
    assert start["items_pending"] == start["items"] == bad_input.IMAGES and stop["reason"] == "max_hours"
    assert end["exit_code"] == 85 and end["items_done"] == 0
    run(0, ranks=3)
    start, end = events(["run_started", "run_ended"])
    assert start["ranks"] == 3 and start["items_pending"] == bad_input.IMAGES
    assert end["exit_code"] == 0 and end["items_done"] == end["items_done_in_run"] == bad_input.IMAGES
    assert end["gradients_in_run"] == bad_input.IMAGES * start["gradients_per_item"]
    run(0)
    assert not (FOLDER / "out.h5.events.jsonl").exists() or events([]) == []


def each_rank_in_the_log():
    done = run(0, "--fresh", "--verbose", ranks=4)
    (FOLDER / "out.h5.events.jsonl").unlink()
    rows = re.findall(r"rank (\d+) on (\S+): (\d+) items led, (\d+) helped, (\d+) gradients; input [\d.]+ s, .*wait [\d.]+ s$",
                      done.stdout, re.M)
    assert [row[0] for row in rows] == ["1", "2", "3"], done.stdout
    assert {row[1] for row in rows} == {os.uname().nodename}, rows
    assert sum(int(row[2]) for row in rows) == bad_input.IMAGES, rows
    assert "items led" not in run(0, "--fresh", ranks=4).stdout
    (FOLDER / "out.h5.events.jsonl").unlink()


def failed_items():
    (FOLDER / "pictures/text.png").write_text("no picture")
    text = (FOLDER / "job.yaml").read_text()
    (FOLDER / "job.yaml").write_text(text.replace(*bad_input.FOLDER_DATA))
    run(0, "--fresh")
    lines = events(["run_started", "item_failed", "warning", "warning", "run_ended"])
    assert "text.png" in lines[1]["message"] and lines[1]["item"] == 1 and lines[1]["message"] in lines[2]["message"]
    assert lines[4]["items_failed"] == 1


def switched_off():
    run(0, "--fresh", "--set", "run.events=false")
    assert not (FOLDER / "out.h5.events.jsonl").exists()


if FOLDER.exists():
    shutil.rmtree(FOLDER)
bad_input.good_folder(FOLDER)
TABLE = promised()
assert set(TABLE) == {"run_started", "progress", "item_failed", "stopping", "warning", "error", "run_ended"}, TABLE
stopped_and_ended()
each_rank_in_the_log()
failed_items()
switched_off()
print("events are as docs/formats.md says")
sys.exit(0)
