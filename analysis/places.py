"""Where posts were written."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

_POINT = "coordinates array<double>"
_POLYGON = "coordinates array<array<array<double>>>"


def geo_points(posts: DataFrame) -> DataFrame:
    """The posts with a position, oldest first: where, and whether that is `exact` or the middle of the place."""
    point = f.coalesce(_point("t_coordinates"), _point("t_geo"))
    found = posts.select("t_id", "t_created_at", "place", point.alias("point"), _middle("t_geo").alias("middle"))
    exact = f.col("point").isNotNull()
    at = f.coalesce("point", "middle")
    position = at[0].alias("longitude"), at[1].alias("latitude")
    placed = found.where(at.isNotNull()).select("t_id", "t_created_at", *position, exact.alias("exact"), "place")
    return placed.orderBy("t_created_at", "t_id")


def _point(column: str) -> Column:
    numbers = f.from_json(column, _POINT)["coordinates"]
    return f.when(f.get_json_object(column, "$.type") == "Point", numbers)


def _middle(column: str) -> Column:
    ring = f.from_json(column, _POLYGON)["coordinates"][0]
    east_west, north_south = f.transform(ring, lambda corner: corner[0]), f.transform(ring, lambda corner: corner[1])
    west, east = f.array_min(east_west), f.array_max(east_west)
    middle = (west + east) / 2
    # A box over the 180th meridian seems to go round the rest of the world.
    over = f.when(middle > 0, middle - 180).otherwise(middle + 180)
    longitude = f.when(east - west > 180, over).otherwise(middle)
    latitude = (f.array_min(north_south) + f.array_max(north_south)) / 2
    return f.when(f.get_json_object(column, "$.type") == "Polygon", f.array(longitude, latitude))
