"""Cells as hugr-client tells them: cells.py URL KEY. Prints PASS, or fails."""
import asyncio
import sys

from hugr import HugrClient, connect_stream

URL, KEY = sys.argv[1] + "/ipc", sys.argv[2]
QUERY = """{ h3(resolution: 4) { cell resolution geom data {
  n: geo_places_aggregation(field: "point") { _rows_count size { sum avg } seen { max } }
  l: geo_places(field: "point", order_by: [{field: "id"}]) { id }
} by: distribution_by(numerator: "data.n.size.sum", denominator: "data.n._rows_count") { value ratio } } }"""

part = HugrClient(url=URL, api_key=KEY).query(QUERY).parts["data.h3"]
table = part.to_arrow()
types = {name: str(table.schema.field(name).type) for name in table.column_names}
assert types["cell"] == "string" and types["resolution"] == "int32" and types["geom"] == "binary", types
assert table.schema.field("cell").metadata[b"ARROW:extension:name"] == b"hugr.h3cell"
assert table.schema.field("geom").metadata[b"ARROW:extension:name"] == b"geoarrow.wkb"
rows = table.to_pylist()
assert [row["cell"] for row in rows] == ["8429a1dffffffff", "842a101ffffffff"], rows
assert [row["resolution"] for row in rows] == [4, 4]
assert [row["data"]["n"] for row in rows] == [
    {"_rows_count": 2, "size": {"sum": 4.0, "avg": 2.0}, "seen": {"max": "2026-01-02T00:00:00Z"}},
    {"_rows_count": 1, "size": {"sum": None, "avg": None}, "seen": {"max": None}},
], rows
assert [row["data"]["l"] for row in rows] == ['[{"id":1},{"id":2}]', '[{"id":3}]'], rows
assert [row["by"]["ratio"] for row in rows] == [2 / 3, 1 / 3] and rows[1]["by"]["value"] is None, rows

frame = part.to_geo_dataframe()
assert str(frame.crs) == "EPSG:4326" and frame.geometry.geom_type.tolist() == ["Polygon", "Polygon"]
assert frame.geometry[0].bounds[0] == -118.386047

empty = HugrClient(url=URL, api_key=KEY).query(
    '{ h3(resolution: 4) { cell data { n: geo_places_aggregation(field: "point", filter: {id: {lt: 0}}) { _rows_count } } } }')
assert empty.df("data.h3").shape == (0, 2) and list(empty.df("data.h3").columns) == ["cell", "data"]


async def stream():
    connection = connect_stream(URL, api_key=KEY)
    try:
        return await (await connection.stream(QUERY)).to_pandas()
    finally:
        await connection.disconnect()


assert asyncio.run(stream())["cell"].tolist() == ["8429a1dffffffff", "842a101ffffffff"]
print("PASS")
