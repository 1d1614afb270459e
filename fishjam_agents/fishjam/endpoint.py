"""One definition of an endpoint, a method of both clients: one blocks, the other is to be awaited."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from .requests import Request

if TYPE_CHECKING:
    from .client import AsyncFishjamClient, FishjamClient

P = ParamSpec("P")
A = TypeVar("A")
T = TypeVar("T")


class Endpoint(Generic[P, T]):
    """A method of `FishjamClient` and `AsyncFishjamClient`, made of the function that builds its request.

        create_room = endpoint(endpoints.create_room)

    Both methods have that function's name, parameters and docstring.
    """

    def __init__(self, build: Callable[P, Request[Any]], finish: Callable[[str, Any], T] | None) -> None:
        """See `endpoint`."""

        def call(client: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            answer = client._call(build(*args, **kwargs))
            return answer if finish is None else finish(client.url, answer)

        async def call_async(client: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            answer = await client._call(build(*args, **kwargs))
            return answer if finish is None else finish(client.url, answer)

        signature = _method_signature(build, finish)
        functions: tuple[Any, ...] = (call, call_async)
        for function in functions:
            functools.update_wrapper(function, build)
            function.__signature__ = signature
            function.__annotations__ = {**build.__annotations__, "return": signature.return_annotation}
        self._call, self._call_async = functions

    def __set_name__(self, owner: type, name: str) -> None:
        for function in (self._call, self._call_async):
            function.__qualname__ = f"{owner.__qualname__}.{name}"

    @overload
    def __get__(self, client: None, owner: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, client: FishjamClient, owner: type | None = None) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, client: AsyncFishjamClient, owner: type | None = None
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: Any = None) -> Callable[..., Any]:
        function = self._call_async if owner.asynchronous else self._call
        return function if client is None else MethodType(function, client)


@overload
def endpoint(build: Callable[P, Request[T]]) -> Endpoint[P, T]: ...
@overload
def endpoint(build: Callable[P, Request[A]], finish: Callable[[str, A], T]) -> Endpoint[P, T]: ...
def endpoint(build: Callable[P, Request[Any]], finish: Callable[[str, Any], Any] | None = None) -> Any:
    """Make a method of both clients.

    Args:
        build: Makes the request; its parameters become the method's.
        finish: Makes the method's result of the server's URL and the answer; the answer itself if left out.
    """
    return Endpoint(build, finish)


def _method_signature(
    build: Callable[..., Any], finish: Callable[[str, Any], Any] | None
) -> inspect.Signature:
    signature = inspect.signature(build)
    client = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    result = str(signature.return_annotation).removeprefix("Request[").removesuffix("]")
    if finish is not None:
        result = str(inspect.signature(finish).return_annotation)
    return signature.replace(parameters=[client, *signature.parameters.values()], return_annotation=result)
