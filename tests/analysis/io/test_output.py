"""Digests and where results come from."""

from punzinet.analysis.io.output import digest, provenance


def test_equal_content_has_equal_digests_in_any_order():
    assert digest({"a": 1, "b": [1.0, None]}) == digest({"b": [1.0, None], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_results_say_what_made_them():
    record = provenance("0123", seed=7)
    assert record["manifest"] == "0123"
    assert record["settings"] == {"seed": 7}
    assert {"python", "punzinet", "torch", "coffea"} <= set(record["versions"])
