import threading

import pytest

from radrelay_local.schedule import reverse, run_in_order


def test_each_runs_after_those_it_depends_on() -> None:
    done: list[str] = []
    run_in_order({"c": ["a", "b"], "a": [], "b": ["a"]}, lambda name, _: done.append(name))
    assert done == ["a", "b", "c"]


def test_independent_ones_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)

    def action(_: str, __: threading.Event) -> None:
        together.wait()

    run_in_order(dict.fromkeys("abc", ()), action)


def test_what_is_left_out_is_not_waited_for() -> None:
    done: list[str] = []
    run_in_order({"b": ["a"]}, lambda name, _: done.append(name))
    assert done == ["b"]


def test_a_failure_ends_the_others_and_starts_nothing_more() -> None:
    ended: list[str] = []

    def action(name: str, abort: threading.Event) -> None:
        if name == "fails":
            raise RuntimeError(name)
        assert abort.wait(10)
        ended.append(name)

    with pytest.raises(RuntimeError, match="fails"):
        run_in_order({"fails": (), "waits": (), "later": ("fails",)}, action)
    assert ended == ["waits"]


def test_reversed_dependencies_lead_back() -> None:
    assert reverse({"a": [], "b": ["a"], "c": ["a", "b"]}) == {"a": ["b", "c"], "b": ["c"], "c": []}
