"""From a function's type hints and docstring to the schema a model is told, and from its arguments back."""

from __future__ import annotations

import inspect
import re
import types
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin
from weakref import WeakKeyDictionary

from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.errors import ConfigError
from fishjam_agents.tools.context import ToolContext, ToolError
from fishjam_agents.tools.docstring import read_docstring
from fishjam_agents.tools.results import written
from fishjam_agents.tools.schema import plain_schema
from fishjam_agents.tools.threads import Threads
from fishjam_agents.tools.tool import MARK, Tool, ToolOptions

if TYPE_CHECKING:
    import pydantic

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""Pattern that every vendor takes as a function's name (Gemini, OpenAI: at most 64 characters)."""
_TOLD = 5
"""Wrong arguments that the model is told of at once."""


def function_tool(function: Callable[..., Any], label: str) -> Tool:
    """The tool that a function, or a method bound to its pipeline, makes.

    Args:
        function: What is called.
        label: What messages call it: `Bot.order`, `my_bot:get_weather`.

    Raises:
        ConfigError: It cannot be a tool, in one sentence that says what to do.
    """
    if not inspect.isroutine(function):
        raise ConfigError(f"tool {label} is no function: write `def` or `async def`")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"tool {label} is a generator: return the result, and report with ToolContext.progress on the way"
        )
    options: ToolOptions = getattr(function, MARK, None) or ToolOptions()
    name = options.name or function.__name__
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"tool {label} is called {name!r}, which models do not take: use up to 64 letters, digits and _"
        )
    summary, descriptions = read_docstring(function.__doc__)
    description = options.description or summary
    if not description:
        raise ConfigError(f"tool {label} has no docstring: say in it what the tool does and when to call it")
    plain = getattr(function, "__func__", function)
    arguments = _KNOWN.get(plain)
    if arguments is None:
        arguments = _KNOWN[plain] = _Arguments(function, label, descriptions)
    coroutine = inspect.iscoroutinefunction(function)
    if options.cancellable and not coroutine:
        raise ConfigError(
            f"tool {label} is cancellable and runs in a thread, which nothing can end: write `async def`"
        )
    declaration = ToolDeclaration(name, description, arguments.schema, options.blocking, options.cancellable)

    threads = Threads()

    async def invoke(given: Mapping[str, Any], context: ToolContext) -> Any:
        values = arguments.read(given, context)
        if coroutine:
            return await function(**values)

        def work() -> Any:
            result = function(**values)
            # What an iterator does to find its next item is the function's work, too.
            return written(result, options.max_result + 1) if isinstance(result, Iterator) else result

        result = await threads.call(work)
        # A decorator may hide that a function is a coroutine's.
        return await result if inspect.isawaitable(result) else result

    return Tool(
        *(declaration, invoke, options.timeout, options.max_result, options.scheduling),
        threaded=not coroutine,
        idempotent=options.idempotent,
    )


class _Arguments:
    """The parameters of a function, as a pydantic model.

    Its fields have names of our own (`p0`, `p1`), because a parameter may be called what a model's own
    attributes are called; their aliases are the parameters' names.

    Attributes:
        schema: JSON schema of the arguments.
    """

    def __init__(self, function: Callable[..., Any], label: str, descriptions: Mapping[str, str]) -> None:
        import pydantic

        self._label = label
        self._context: str | None = None
        self._names: list[str] = []
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except (NameError, TypeError) as error:
            raise ConfigError(
                f"a type hint of tool {label} cannot be read ({error}): import its type"
            ) from error
        fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise ConfigError(
                    f"tool {label} takes {parameter}, which no model can be told: name each parameter"
                )
            if name not in hints:
                raise ConfigError(f"parameter {name} of tool {label} has no type hint: write `{name}: str`")
            if _is_context(hints[name]):
                self._context = name
                continue
            hint, default, words = _parameter(hints[name], parameter.default)
            field = pydantic.Field(default, alias=name, description=words or descriptions.get(name))
            self._check(name, hint)
            fields[f"p{len(self._names)}"] = (hint, field)
            self._names.append(name)
        self._model: type[pydantic.BaseModel] = pydantic.create_model("Arguments", **fields)
        self.schema = self._schema()

    def _check(self, name: str, hint: Any) -> None:
        import pydantic

        try:
            pydantic.TypeAdapter(hint).json_schema()
        except (pydantic.errors.PydanticUserError, NameError) as error:
            shown = getattr(hint, "__name__", None) or str(hint)
            raise ConfigError(
                f"parameter {name} of tool {self._label} has the type {shown}, which no model can be told: "
                "use str, int, float, bool, an Enum, Literal, list, dict, a dataclass or a pydantic model"
            ) from error

    def _schema(self) -> Mapping[str, Any]:
        from pydantic.json_schema import PydanticJsonSchemaWarning

        with warnings.catch_warnings():
            # A default that JSON cannot express is left out, which is what is wanted.
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
            schema = self._model.model_json_schema()
        try:
            return plain_schema(schema)
        except ValueError as error:
            raise ConfigError(f"tool {self._label}: {error}") from error

    def read(self, given: Mapping[str, Any], context: ToolContext) -> dict[str, Any]:
        """Return the arguments that the function is called with.

        Raises:
            ToolError: The model gave something else than was asked for.
        """
        import pydantic

        # A backend may pass on what a model made of its arguments, whatever that is.
        raw: Any = given
        try:
            model = self._model.model_validate(dict(raw) if isinstance(raw, Mapping) else raw)
        except pydantic.ValidationError as error:
            wrong = [_wrong(item) for item in error.errors(include_url=False, include_context=False)]
            raise ToolError(f"wrong arguments: {'; '.join(wrong[:_TOLD])}") from error
        values = {name: getattr(model, f"p{index}") for index, name in enumerate(self._names)}
        if self._context is not None:
            values[self._context] = context
        return values


_KNOWN: WeakKeyDictionary[Callable[..., Any], _Arguments] = WeakKeyDictionary()
"""Cache of the functions read: a schema takes a millisecond, which every call would pay twice."""


def _wrong(item: Any) -> str:
    """One of pydantic's errors: `city: Field required`."""
    return f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}"


def _is_context(hint: Any) -> bool:
    return hint is ToolContext or (
        get_origin(hint) in (Union, types.UnionType) and ToolContext in get_args(hint)
    )


def _parameter(hint: Any, default: Any) -> tuple[Any, Any, str | None]:
    """The type of a parameter with its constraints, its default (`...` for none), and what is said of it.

    That may stand in `Annotated[str, "the city"]`, `Annotated[str, Field(description="the city")]`, or in
    `city: str = Field(description="the city")`.
    """
    from pydantic.fields import FieldInfo

    given = default if isinstance(default, FieldInfo) else None
    if default is inspect.Parameter.empty:
        default = ...
    elif given is not None:
        default = ... if given.is_required() else given.get_default(call_default_factory=True)
    notes = list(hint.__metadata__) if get_origin(hint) is typing.Annotated else []
    said: list[str] = []
    for note in (*notes, given):
        words = note if isinstance(note, str) else getattr(note, "description", None)
        if isinstance(words, str):
            said.append(words)
    # What a field says beside that and its constraints, such as a default, is said by the function.
    constraints = [kept for note in (*notes, given) if note is not None for kept in _constraints(note)]
    if notes or constraints:
        hint = get_args(hint)[0] if notes else hint
        for constraint in constraints:
            hint = typing.Annotated[hint, constraint]
    if default is None and not _takes_none(hint):
        # `city: str = None` is how many write that it may be left out.
        hint = Union[hint, None]  # noqa: UP007 - of what may be no type
    return hint, default, next(iter(said), None)


def _constraints(note: Any) -> list[Any]:
    from pydantic.fields import FieldInfo

    return list(note.metadata) if isinstance(note, FieldInfo) else [note]


def _takes_none(hint: Any) -> bool:
    if get_origin(hint) is typing.Annotated:
        return _takes_none(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return any(_takes_none(item) for item in get_args(hint))
    return hint in (None, type(None), Any) or (get_origin(hint) is typing.Literal and None in get_args(hint))
