"""A thread keeps its CUDA stream: PyTorch has 32 to deal out, and two threads must not get the same one."""

import contextlib
import threading

import pytest
import torch

from deblur_core.runs import default_executor, own_stream, streams


class Stream:
    def wait_stream(self, other):
        pass

    synchronize = contextlib.nullcontext


@pytest.fixture
def entered(monkeypatch):
    """Every stream that was made current, without a GPU."""
    used = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext(used.append(stream)))
    monkeypatch.setattr(streams, "_OWN", threading.local())
    return used


def test_a_thread_gets_one_stream_however_often_it_asks(entered):
    for _ in range(40):
        with own_stream("cuda"), own_stream(torch.device("cuda")):
            pass
    assert len(entered) == 80 and len(set(entered)) == 1


def test_threads_get_streams_of_their_own(entered):
    meet = threading.Barrier(4, timeout=30)

    def work():
        with own_stream("cuda"):
            meet.wait()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entered) == len(set(entered)) == 4


def test_there_are_no_more_threads_than_streams(entered):
    with default_executor(workers=100, device="cuda") as executor:
        assert executor._max_workers == 31


def test_a_processor_needs_none(entered):
    with own_stream("cpu"):
        assert not entered
