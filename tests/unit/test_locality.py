"""Which node is asked for which partition."""

from __future__ import annotations

from analysis.locality import balanced, dealt


def test_each_partition_is_asked_of_one_that_has_it_and_none_gets_more_than_others() -> None:
    nodes = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    replicas = [(("flood", str(number)), (nodes[number % 3], nodes[(number + 1) % 3])) for number in range(30)]
    found = balanced(replicas)
    assert sorted(key for keys in found.values() for key in keys) == sorted(key for key, _ in replicas)
    assert {node: len(keys) for node, keys in found.items()} == dict.fromkeys(nodes, 10)
    having = dict(replicas)
    assert all(node in having[key] for node, keys in found.items() for key in keys)


def test_where_only_one_has_it_that_one_is_asked() -> None:
    replicas = [(("flood", str(number)), ("a",)) for number in range(3)] + [(("flood", "3"), ("a", "b"))]
    assert {node: len(keys) for node, keys in balanced(replicas).items()} == {"a": 3, "b": 1}


def test_what_no_node_has_is_anybodys() -> None:
    assert balanced([(("flood", "1"), ())]) == {"": [("flood", "1")]}


def test_keys_are_dealt_in_parts_of_about_one_size_and_none_is_empty() -> None:
    keys = [("flood", str(number)) for number in range(8)]
    parts = list(dealt(keys, 3))
    assert sorted(key for part in parts for key in part) == keys
    assert sorted(map(len, parts)) == [2, 3, 3]
    assert [len(part) for part in dealt(keys, 20)] == [1] * 8
    assert list(dealt([], 3)) == []
