"""The arithmetic of rolling updates, over all small cases."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from aegis_flows.lab.kube.controllers import rollouts
from aegis_flows.lab.kube.controllers.rollouts import Bounds, Sized, bounds


def sized(name: str) -> st.SearchStrategy[Sized]:
    counts = st.integers(0, 6).flatmap(lambda asked: st.tuples(st.just(asked), st.integers(0, asked)))
    return counts.map(lambda pair: Sized(name, *pair))


limits = st.builds(bounds, st.integers(0, 6), st.integers(0, 3), st.integers(0, 3))
olds = st.tuples(sized("old-1"), sized("old-2"))


def available_after(sets: Sequence[Sized], sizes: Mapping[str, int]) -> int:
    """Pods that are surely ready after a step: a replica set takes its broken pods first."""
    return sum(min(one.available, sizes[one.name]) for one in sets)


@given(limits, sized("new"), olds)
def test_a_step_never_takes_more_ready_pods_than_promised(limit: Bounds, new: Sized, old: tuple[Sized, Sized]) -> None:
    """If enough pods were ready before a step, enough are after it; if not, the step takes none of the old ones."""
    sizes = rollouts.rolling(limit, new, old)
    least = limit.desired - limit.missing
    before = available_after((new, *old), {one.name: one.asked for one in (new, *old)})
    kept_new = min(new.available, sizes["new"])
    if before >= least and kept_new == new.available:
        assert available_after((new, *old), sizes) >= least


@given(limits, sized("new"), olds)
def test_a_step_never_asks_for_more_pods_than_allowed(limit: Bounds, new: Sized, old: tuple[Sized, Sized]) -> None:
    """No step grows the whole beyond desired + surge, and none grows an old replica set."""
    sizes = rollouts.rolling(limit, new, old)
    before = new.asked + sum(one.asked for one in old)
    assert sum(sizes.values()) <= max(before, limit.desired + limit.surge)
    assert all(sizes[one.name] <= one.asked for one in old)


@given(st.integers(0, 6), st.integers(0, 3), st.integers(0, 3), olds)
def test_steps_end_with_new_pods_alone(desired: int, surge: int, missing: int, old: tuple[Sized, Sized]) -> None:
    """If each new pod becomes ready in time, a rollout from any mixture ends, in few steps."""
    limit, new = bounds(desired, surge, missing), Sized("new", 0, 0)
    for _ in range(30):
        sizes = rollouts.rolling(limit, new, old)
        new = Sized("new", sizes["new"], sizes["new"])
        first, second = (Sized(one.name, sizes[one.name], min(one.available, sizes[one.name])) for one in old)
        old = first, second
    assert (new.asked, old[0].asked, old[1].asked) == (desired, 0, 0)


def test_percentages_round_as_documented() -> None:
    """Surge rounds up, missing rounds down, and both 0 would stand still: then one pod may be missing."""
    assert bounds(2, "25%", "25%") == Bounds(2, surge=1, missing=0)
    assert bounds(10, "25%", "25%") == Bounds(10, surge=3, missing=2)
    assert bounds(4, 0, 0) == Bounds(4, surge=0, missing=1)


def test_broken_pods_go_before_ready_ones() -> None:
    """Undoing a rollout whose new pods never became ready takes those, not the ready ones."""
    back, broken = Sized("back", 2, 2), Sized("broken", 1, 0)
    assert rollouts.rolling(bounds(2, 1, 0), back, [broken]) == {"back": 2, "broken": 0}


def test_recreate_waits_for_the_last_old_pod() -> None:
    """No new pod is asked for while an old one lives."""
    new, old = Sized("new", 0, 0), [Sized("old", 2, 2)]
    assert rollouts.recreate(2, new, old, old_pods=True) == {"new": 0, "old": 0}
    assert rollouts.recreate(2, new, [Sized("old", 0, 0)], old_pods=True) == {"new": 0, "old": 0}
    assert rollouts.recreate(2, new, [Sized("old", 0, 0)], old_pods=False) == {"new": 2, "old": 0}


def test_a_paused_deployment_is_scaled_where_its_pods_are() -> None:
    """Scaling while paused changes the replica set that has pods, not the template that waits."""
    assert rollouts.resized(4, None, [Sized("old", 2, 2)]) == {"old": 4}
    assert rollouts.resized(4, Sized("new", 1, 0), [Sized("old", 2, 2)]) == {"new": 2}
