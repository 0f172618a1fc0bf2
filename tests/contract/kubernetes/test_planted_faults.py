"""What somebody might add to the manifests in good faith is noticed by the rule that is about it."""

import copy

import pytest

from deploy.k8s.checks.manifests import Manifests, name_of
from deploy.k8s.checks.rules import RULES
from support.manifests import FULL_GPU, rendered
from support.planted_manifests import NOTICING, Fault

CASES = [(rule, fault) for rule, faults in NOTICING.items() for fault in faults]


@pytest.mark.parametrize(("name", "fault"), CASES, ids=[fault.__name__.strip("_") for _, fault in CASES])
def test_a_planted_fault_is_noticed(name: str, fault: Fault) -> None:
    (rule,) = [each for each in RULES if each.__name__ == name]
    original = rendered(*FULL_GPU)
    assert list(rule(original)) == []
    objects = {name_of(each): each for each in copy.deepcopy(list(original.objects))}
    fault(objects)
    assert list(rule(Manifests(list(objects.values()), original.components))) != []
