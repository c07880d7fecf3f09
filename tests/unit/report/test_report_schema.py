"""The published schema."""

from burnish.report.schema import Report, json_schema


def fields(schema: object) -> list[dict[str, object]]:
    """Every property in the schema."""
    if isinstance(schema, dict):
        own = [value for value in schema.get("properties", {}).values() if isinstance(value, dict)]
        return own + [field for value in schema.values() for field in fields(value)]
    return [field for item in schema for field in fields(item)] if isinstance(schema, list) else []


def test_every_number_is_explained_and_nothing_else_is_allowed() -> None:
    schema = json_schema()
    leaves = [field for field in fields(schema) if field.get("type") in ("number", "integer")]
    assert len(leaves) >= 30
    assert all(field.get("description") for field in leaves)
    parts = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts)


def test_the_parts_are_those_of_schema_one() -> None:
    names = ["schema", "verdict", "task", "retention", "cost", "weights", "data", "provenance"]
    assert json_schema()["required"] == names
    assert [field.alias or name for name, field in Report.model_fields.items()] == names
