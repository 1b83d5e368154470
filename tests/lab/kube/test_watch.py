"""Watches, as informers and the Python client's Watch use them."""

import itertools
import json
import threading
import time
from typing import Any

import pytest
from kubernetes import watch
from kubernetes.client import ApiException

from tests.lab.kube.standin import StandIn


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def seen(cluster: StandIn, space: str, count: int, **options: Any) -> list[tuple[str, str]]:
    """The first events of a watch, as type and name."""
    events = watch.Watch().stream(cluster.core.list_namespaced_config_map, space, timeout_seconds=5, **options)
    return [(event["type"], event["object"].metadata.name) for event in itertools.islice(events, count)]


def test_a_watch_goes_on_where_a_list_ended(cluster: StandIn, space: str) -> None:
    """From the list's resourceVersion on every change is seen once, in order, those before the watch began too."""
    core = cluster.core
    core.create_namespaced_config_map(space, config_map("a"))
    revision = core.list_namespaced_config_map(space).metadata.resource_version
    core.create_namespaced_config_map(space, config_map("b"))

    def later() -> None:
        core.patch_namespaced_config_map("a", space, {"data": {"x": "1"}})
        core.delete_namespaced_config_map("b", space)

    writer = threading.Timer(0.2, later)
    writer.start()
    events = seen(cluster, space, 3, resource_version=revision)
    writer.join()
    assert events == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


def test_a_watch_without_a_version_begins_with_what_is_there(cluster: StandIn, space: str) -> None:
    """The first events are ADDED for every object that fits."""
    for name in ("a", "b"):
        cluster.core.create_namespaced_config_map(space, config_map(name))
    assert seen(cluster, space, 2) == [("ADDED", "a"), ("ADDED", "b")]


def test_what_stops_fitting_the_selector_is_deleted_for_the_watcher(cluster: StandIn, space: str) -> None:
    """A label that goes is DELETED, one that comes is ADDED, and other objects are silent."""
    core = cluster.core
    revision = core.list_namespaced_config_map(space).metadata.resource_version
    core.create_namespaced_config_map(space, config_map("a", app="x"))
    core.create_namespaced_config_map(space, config_map("b", app="y"))
    core.patch_namespaced_config_map("a", space, {"metadata": {"labels": {"app": "y"}}})
    core.patch_namespaced_config_map("b", space, {"metadata": {"labels": {"app": "x"}}})
    events = seen(cluster, space, 3, resource_version=revision, label_selector="app=x")
    assert events == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b")]


def test_a_version_from_before_the_stand_in_started_is_too_old(cluster: StandIn, space: str) -> None:
    """The watcher is told to list again (410) instead of waiting for what has passed."""
    with pytest.raises(ApiException) as raised:
        seen(cluster, space, 1, resource_version="5")
    assert raised.value.status == 410


def test_initial_events_end_with_a_bookmark(cluster: StandIn, space: str) -> None:
    """As client-go's WatchList asks: the objects, then a bookmark that says that these were all."""
    cluster.core.create_namespaced_config_map(space, config_map("a"))
    query = "watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    text = cluster.raw(f"/api/v1/namespaces/{space}/configmaps?{query}")
    first, bookmark = [json.loads(line) for line in text.splitlines()]
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_ends_after_its_timeout(cluster: StandIn, space: str) -> None:
    """TimeoutSeconds ends the answer properly, so that a client watches again instead of failing."""
    started = time.monotonic()
    assert cluster.raw(f"/api/v1/namespaces/{space}/pods?watch=1&timeoutSeconds=1") == ""
    assert 0.9 < time.monotonic() - started < 3
