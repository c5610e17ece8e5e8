"""Benchmarks time their variants in turn."""

from deblur_core.timing import in_turn


def test_medians_of_calls_in_turn_without_the_first():
    called, now = [], [0.0]
    takes = {"a": iter([90, 1, 3, 2]), "b": iter([90, 10, 30, 20])}

    def call(name):
        called.append(name)
        now[0] += next(takes[name])

    found = in_turn({name: lambda name=name: call(name) for name in takes}, repeats=3, clock=lambda: now[0])
    assert found == {"a": 2, "b": 20}
    assert called == ["a", "b"] * 4
