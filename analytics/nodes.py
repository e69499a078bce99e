"""Where in a workflow errors happen. The node is in the metadata, so it is counted over a sample, not over a range."""

import json

import polars as pl


def node_counts(events: pl.DataFrame) -> pl.DataFrame:
    """`value` (the node; null for errors without one) and `errors`, most first. `events`: `metadata` as JSON text and
    `stands_for`, as `latest_errors` answers them."""
    nodes = pl.Series("value", [_node(text) for text in events["metadata"]], dtype=pl.String())
    counted = events.select(nodes, pl.col("stands_for").alias("errors")).group_by("value").agg(pl.col("errors").sum())
    return counted.sort("errors", "value", descending=[True, False], nulls_last=True)


def _node(text: str | None) -> str | None:
    metadata = json.loads(text) if text else None
    node = metadata.get("node") if isinstance(metadata, dict) else None
    return node if isinstance(node, str) and node else None
