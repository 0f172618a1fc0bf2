"""Whose turn it is in a lane."""

import pytest

from radrelay_shared.messaging.lanes import Lane, share


def serve(lane: Lane[str], waiting: dict[str, int], room: int) -> list[str]:
    """One pass over the lane: who is asked in turn takes its share of what it has waiting."""
    taken = []
    turns = lane.turns(resting=())
    for asked, name in enumerate(turns):
        count = min(share(room, len(turns) - asked), waiting[name]) if room else 0
        if count:
            waiting[name] -= count
            room -= count
            lane.served(name)
            taken += [name] * count
    return taken


def test_with_room_for_one_the_members_alternate() -> None:
    lane, waiting = Lane("many", "few"), {"many": 500, "few": 3}
    served = [name for _ in range(8) for name in serve(lane, waiting, 1)]
    assert served == ["many", "few", "many", "few", "many", "few", "many", "many"]


def test_with_more_room_all_get_the_same() -> None:
    assert sorted(serve(Lane("a", "b", "c"), {"a": 500, "b": 500, "c": 500}, 12)) == ["a"] * 4 + ["b"] * 4 + ["c"] * 4


def test_what_one_member_leaves_goes_to_those_after_it() -> None:
    taken = serve(Lane("few", "many"), {"few": 1, "many": 500}, 8)
    assert (taken.count("few"), taken.count("many")) == (1, 7)


def test_a_member_that_is_alone_gets_all_the_room() -> None:
    assert serve(Lane("alone"), {"alone": 500}, 16) == ["alone"] * 16


def test_a_pass_that_ends_early_is_taken_up_where_it_ended() -> None:
    lane, waiting = Lane("a", "b", "c"), {"a": 9, "b": 9, "c": 9}
    assert serve(lane, waiting, 2) == ["a", "b"]
    assert serve(lane, waiting, 2) == ["c", "a"]


def test_those_who_rest_are_passed_over_and_keep_their_place() -> None:
    lane = Lane("a", "b", "c")
    lane.served("a")
    assert lane.turns(resting={"b"}) == ["c", "a"]
    assert lane.turns(resting=()) == ["b", "c", "a"]


def test_who_joins_has_a_turn_before_anybody_has_two() -> None:
    lane = Lane("a", "b")
    lane.served("b")
    lane.served("a")
    lane.join("c")
    assert lane.turns(resting=()) == ["b", "c", "a"]


def test_nobody_is_asked_in_a_lane_without_members() -> None:
    assert Lane[str]().turns(resting=()) == []


@pytest.mark.parametrize(("room", "askers", "expected"), [(16, 1, 16), (16, 3, 6), (1, 5, 1), (5, 5, 1)])
def test_a_share_is_equal_and_at_least_one(room: int, askers: int, expected: int) -> None:
    assert share(room, askers) == expected
