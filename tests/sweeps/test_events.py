"""Events come to whoever follows, whole, once, and in each writer's order."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from expkit.sweeps.events import EventReader, EventWriter, Following


def write(folder: Path, start: int, count: int) -> None:
    events = EventWriter(folder)
    for number in range(start, start + count):
        events.write("run", number=number, text="x" * 200)
    events.close()


def test_several_processes_at_once(tmp_path: Path) -> None:
    heard: list[int] = []
    with Following(tmp_path, lambda event: heard.append(event["number"])):
        context = multiprocessing.get_context("spawn")
        writers = [context.Process(target=write, args=(tmp_path, 1000 * i, 300)) for i in range(3)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    assert sorted(heard) == sorted(n for i in range(3) for n in range(1000 * i, 1000 * i + 300))
    for i in range(3):
        own = [number for number in heard if number // 1000 == i]
        assert own == sorted(own)


def test_what_was_there_before_is_not_heard_again(tmp_path: Path) -> None:
    write(tmp_path, 0, 5)
    heard: list[int] = []
    with Following(tmp_path, lambda event: heard.append(event["number"])):
        write(tmp_path, 5, 2)
    assert heard == [5, 6]


def test_a_line_that_is_not_whole_yet_waits(tmp_path: Path) -> None:
    reader = EventReader(tmp_path)
    file = tmp_path / "one.jsonl"
    file.write_text('{"kind": "run", "number": 1}\n{"kind": "ru')
    assert [event["number"] for event in reader.new()] == [1]
    with file.open("a") as more:
        more.write('n", "number": 2}\nnot json\n')
    assert [event["number"] for event in reader.new()] == [2]
    assert list(reader.new()) == []
