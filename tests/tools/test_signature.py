"""What a model is told of a function, and what the function is called with."""

from __future__ import annotations

import asyncio
import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Optional

import pydantic
import pytest

from fishjam_agents import ToolContext, ToolError, tool
from fishjam_agents.errors import ConfigError
from fishjam_agents.tools.schema import plain_schema, summary
from fishjam_agents.tools.signature import function_tool


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Topping:
    name: str
    grams: int = 10


class Address(pydantic.BaseModel):
    """Where it goes."""

    street: str = pydantic.Field(description="with number")
    lines: list[str] = []


def order(
    pizza: str,
    size: Size,
    toppings: list[Topping],
    address: Address,
    when: Annotated[date, "the day"],
    schema: Literal["cash", "card"] = "cash",
    tip: float | None = None,
    title: Optional[str] = None,  # noqa: UP045 - an old spelling is understood too
    context: ToolContext | None = None,
) -> str:
    """Order a pizza.

    Ask for the address
    first.

    Args:
        pizza: Its name
            on the card.
        size (Size): How big.

    Returns:
        The time it takes.
    """
    assert isinstance(context, ToolContext)
    assert isinstance(address, Address)
    return f"{pizza} {size.name} {toppings[0].grams} {address.street} {when:%d.%m.} {schema} {tip} {title}"


def context_of(name: str = "order") -> ToolContext:
    return ToolContext("c1", name, None, None, lambda report: None)  # type: ignore[arg-type]


def call(function: Callable[..., Any], /, **arguments: Any) -> Any:
    async def run() -> Any:
        return await function_tool(function, "f").invoke(arguments, context_of())

    return asyncio.run(run())


def test_hints_and_docstring_make_the_schema() -> None:
    declaration = function_tool(order, "shop:order").declaration
    assert declaration.name == "order"
    assert declaration.description == "Order a pizza.\nAsk for the address first."
    assert declaration.blocking
    parameters = declaration.parameters
    assert parameters["type"] == "object"
    assert parameters["required"] == ["pizza", "size", "toppings", "address", "when"]
    properties = parameters["properties"]
    assert "context" not in properties
    assert properties["pizza"] == {"type": "string", "description": "Its name on the card."}
    assert properties["size"] == {"type": "string", "enum": ["small", "large"], "description": "How big."}
    assert properties["when"] == {"type": "string", "format": "date", "description": "the day"}
    assert properties["toppings"]["items"]["properties"]["grams"] == {"type": "integer", "default": 10}
    assert properties["address"]["properties"]["street"] == {"type": "string", "description": "with number"}
    assert properties["schema"]["default"] == "cash"
    assert "$ref" not in str(parameters)
    assert "$defs" not in str(parameters)
    assert summary(parameters) == (
        "pizza: string, size: small|large, toppings: object[], address: object, when: string, "
        "schema?: cash|card, tip?: number|null, title?: string|null"
    )


def test_a_function_gets_python_values_and_its_defaults() -> None:
    assert (
        call(
            order,
            pizza="Funghi",
            size="large",
            toppings=[{"name": "basil"}],
            address={"street": "Long 1"},
            when="2026-11-21",
            tip="2",
            invented="by the model",
        )
        == "Funghi LARGE 10 Long 1 21.11. cash 2.0 None"
    )


@pytest.mark.parametrize("arguments", [{"days": "many"}, {}, {"city": ["x"], "days": None}])
def test_wrong_arguments_are_told_in_words(arguments: dict[str, Any]) -> None:
    def weather(city: str, days: int = 1) -> str:
        """Weather."""
        return city

    with pytest.raises(ToolError, match="wrong arguments: city: "):
        call(weather, **arguments)


def test_arguments_that_are_no_object_are_told_in_words() -> None:
    def ping() -> None:
        """Ping."""

    async def run() -> None:
        await function_tool(ping, "ping").invoke(["a"], context_of())  # type: ignore[arg-type]

    with pytest.raises(ToolError, match="wrong arguments"):
        asyncio.run(run())


def test_options_are_kept_and_the_function_left_as_it_is() -> None:
    @tool(name="look-up", description="Looks.", timeout=3, blocking=False, scheduling="silent")
    def search(words: str) -> str:
        return words

    made = function_tool(search, "search")
    assert (made.name, made.declaration.description, made.timeout) == ("look-up", "Looks.", 3)
    assert (made.declaration.blocking, made.scheduling) == (False, "silent")
    assert search("x") == "x"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout must be above zero"),
        ({"max_result": 5}, "max_result must be at least 100"),
        ({"scheduling": "silent"}, "add blocking=False"),
        ({"scheduling": "soon", "blocking": False}, "scheduling must be interrupt, when_idle or silent"),
    ],
)
def test_options_that_cannot_be_are_refused_where_they_are_written(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tool(**options)


def no_hint(city):  # type: ignore[no-untyped-def]
    """Weather."""


def many(*cities: str) -> None:
    """Weather."""


def callback(ready: Callable[[], None]) -> None:
    """Weather."""


def bare(city: str) -> None: ...


def nowhere(city: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Weather."""


async def piecewise(city: str):  # type: ignore[no-untyped-def]
    """Weather."""
    yield city


class Tree(pydantic.BaseModel):
    branches: list[Tree]


def plant(tree: Tree) -> None:
    """Plant."""


def spaced(city: str) -> None:
    """Weather."""


def has_bytes(picture: asyncio.Queue[int]) -> None:
    """Picture."""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_hint, "parameter city of tool f has no type hint: write `city: str`"),
        (many, r"tool f takes \*cities: .*str.*, which no model can be told: name each parameter"),
        (
            callback,
            "parameter ready of tool f has the type .*Callable.*, which no model can be told: use str",
        ),
        (has_bytes, "parameter picture of tool f has the type .*Queue.*, which no model can be told"),
        (bare, "tool f has no docstring: say in it what the tool does"),
        (nowhere, "a type hint of tool f cannot be read .*Nowhere.*: import its type"),
        (piecewise, "tool f is a generator: return the result"),
        (plant, "tool f: the type Tree contains itself"),
        (functools.partial(bare, "x"), "tool f is no function"),
        (tool(name="get weather")(spaced), "called 'get weather', which models do not take"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_in_one_sentence(function: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        function_tool(function, "f")
    assert "\n" not in str(caught.value)


def test_schemas_of_others_are_made_plain_or_refused() -> None:
    given = {
        "$schema": "x",
        "title": "args",
        "properties": {"title": {"$ref": "#/definitions/T", "description": "near"}},
        "definitions": {"T": {"type": "string", "title": "T", "description": "far", "enum": ["a"]}},
    }
    assert plain_schema(given) == {
        "type": "object",
        "properties": {"title": {"type": "string", "description": "near", "enum": ["a"]}},
    }
    assert plain_schema({}) == {"type": "object", "properties": {}}
    with pytest.raises(ValueError, match="refers to https://x"):
        plain_schema({"properties": {"a": {"$ref": "https://x"}}})
    with pytest.raises(ValueError, match="no JSON object"):
        plain_schema({"type": "array"})


def test_what_may_be_none_by_its_default_takes_null() -> None:
    def find(
        words: str = None,  # type: ignore[assignment]  # noqa: RUF013 - as many write it
        size: Annotated[int, "in EU sizes"] = None,  # type: ignore[assignment]  # noqa: RUF013
        colour: Literal["red", None] = None,
        anything: Any = None,
        until: date | None = None,
    ) -> str:
        """Find shoes."""
        return f"{words} {size} {colour} {anything} {until}"

    schema = function_tool(find, "find").declaration.parameters
    assert "required" not in schema
    assert schema["properties"]["words"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert schema["properties"]["size"]["description"] == "in EU sizes"
    nothing = "None None None None None"
    assert call(find) == nothing
    assert call(find, words=None, size=None, colour=None, anything=None, until=None) == nothing
    assert call(find, words="boots", size="41") == "boots 41 None None None"
    with pytest.raises(ToolError, match="size"):
        call(find, size="large")


NONE_YET: Any = pydantic.Field(default_factory=list)


def test_what_a_field_says_of_a_parameter_is_told_and_holds() -> None:
    def book(
        seats: Annotated[int, pydantic.Field(description="how many come", ge=1)],
        table: str = pydantic.Field(description="its letter", max_length=1),
        hours: int = pydantic.Field(2, description="how long", le=4),
        notes: Annotated[list[str], pydantic.Field(description="wishes")] = NONE_YET,
        name: Annotated[str, pydantic.Field(min_length=1), "of the guest"] = "Guest",
        phone: str = "",
    ) -> str:
        """Book a table.

        Args:
            seats: Not this.
            phone: With country code.
        """
        return f"{seats} {table} {hours} {notes} {name} {phone}"

    schema = function_tool(book, "book").declaration.parameters
    told = {name: item.get("description") for name, item in schema["properties"].items()}
    assert told == {
        "seats": "how many come",
        "table": "its letter",
        "hours": "how long",
        "notes": "wishes",
        "name": "of the guest",
        "phone": "With country code.",
    }
    assert schema["required"] == ["seats", "table"]
    assert schema["properties"]["seats"]["minimum"] == 1
    assert schema["properties"]["hours"]["default"] == 2
    assert call(book, seats=2, table="A") == "2 A 2 [] Guest "
    for wrong in (
        {"seats": 0, "table": "A"},
        {"seats": 1, "table": "AB"},
        {"seats": 1, "table": "A", "hours": 9},
    ):
        with pytest.raises(ToolError, match="wrong arguments"):
            call(book, **wrong)


def test_a_tool_that_is_cancellable_is_a_coroutine() -> None:
    @tool(cancellable=True)
    def find() -> str:
        """Find."""
        return "found"

    with pytest.raises(ConfigError, match="runs in a thread, which nothing can end: write `async def`"):
        function_tool(find, "find")
