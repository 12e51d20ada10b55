"""Surrounds every call: identity, right, deadline, validation, one status for every failure, metrics, one log line.

`kernel.rpc.server` wraps each method with `Interceptor.wrap` when the method is registered. That is an
interceptor without gRPC's per-call look-up of handlers, and it lets the server refuse to be built when a method
has no entry in the table of rights. Bytes are parsed and built inside, so that a malformed request is the
caller's error and a broken answer is ours; bare grpc.aio answers both with the exception's own text.

gRPC is told that every method takes a stream of requests, which nobody can see on the wire: so a call is admitted
before its request is read, and one who sends the head of a call and not its request is shown the door. Left to itself,
grpc.aio waits for that request as long as the connection lives, uncounted by anything but its own hard limit.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any, Final, Self

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode

from kernel import logs
from kernel.errors import Failure, Invalid
from kernel.rpc import actor, call, reasons
from kernel.rpc.call import Context
from kernel.rpc.metering import meter_of
from kernel.rpc.patience import Patience, TooLate, read, write_all
from kernel.rpc.room import Room
from kernel.rpc.standing import Number, Standing
from kernel.rpc.status import Refusal, internal, plain_refusal, refusal
from kernel.rpc.users import Handler, users_named, users_of
from kernel.rpc.validation import validate

OPEN_SEATS: Final = 64
"""For each service that is open to everyone, health and reflection: they are answered also when the room is full."""

Unary = Callable[[Any, Context], Awaitable[Any]]
Stream = Callable[[Any, Context], AsyncGenerator[Any, None]]
Serve = Callable[[Any, Context], Awaitable[None]]

_CODES: Final = {code.value[0]: code for code in StatusCode}


class Interceptor:
    """What surrounds the methods of one server."""

    def __init__(
        self,
        domain: str,
        rights: Mapping[str, actor.Right],
        patience: Patience,
        calls_max: int,
        metadata_bytes_max: int,
        identify: actor.Identify = actor.identify_local,
        access_in_force: Number = lambda: 0,
    ) -> None:
        """Take the service's name for ErrorInfo, the right of each "/package.Service/Method", and how many at once."""
        self.metadata_bytes_max = metadata_bytes_max
        self.domain = domain
        self.rights = rights
        self.identify = identify
        self.access_in_force = access_in_force
        self.patience = patience
        self._room = Room(calls_max)
        self._open_rooms: dict[str, Room] = {}

    def room_of(self, full_method: str) -> Room:
        """Return where calls of a method sit."""
        if self.rights[full_method] != actor.OPEN:
            return self._room
        return self._open_rooms.setdefault(full_method.split("/")[1], Room(OPEN_SEATS))

    def wrap(self, full_method: str, handler: Handler) -> Handler:
        """Return a handler that does everything this module promises around the given one.

        Raises:
            KeyError: the method has no entry in the table of rights.
            UnreadableUser: its request names users in a form that nobody would check.
            TypeError: not a coroutine function (unary) or an async generator function (stream), or client-streaming.
        """
        method = _Method(full_method, self, handler)
        if inspect.iscoroutinefunction(handler.unary_unary):
            return grpc.stream_unary_rpc_method_handler(method.unary(handler.unary_unary))
        if inspect.isasyncgenfunction(handler.unary_stream):
            return grpc.stream_stream_rpc_method_handler(method.one_to_many(handler.unary_stream))
        if inspect.isasyncgenfunction(handler.stream_stream):
            return grpc.stream_stream_rpc_method_handler(method.many_to_many(handler.stream_stream))
        message = f"{full_method}: neither a coroutine function nor an async generator function of a kind served here"
        raise TypeError(message)


class _Method:
    """What is known about a method before any call: its right, its meter, how its messages are read and written."""

    __slots__ = (
        "_decode",
        "_encode",
        "access_in_force",
        "domain",
        "identify",
        "metadata_bytes_max",
        "meter",
        "name",
        "patience",
        "quiet",
        "right",
        "room",
        "stream",
        "users",
    )

    def __init__(self, name: str, around: Interceptor, handler: Handler) -> None:
        self.name = name
        self.right = around.rights[name]
        self.quiet = self.right == actor.OPEN
        self.room = around.room_of(name)
        self.stream = handler.response_streaming
        self.domain = around.domain
        self.identify = around.identify
        self.access_in_force = around.access_in_force
        self.users = users_named(handler)
        self.patience = around.patience
        self.metadata_bytes_max = around.metadata_bytes_max
        self.meter = meter_of(name)
        self._decode = handler.request_deserializer or _as_it_is
        self._encode = handler.response_serializer or _as_it_is

    def unary(self, behaviour: Unary) -> Unary:
        async def serve(_: object, context: Context) -> object:
            # gRPC itself cancels a call whose client set a deadline.
            seconds = self.patience.deadline_seconds
            deadline = asyncio.timeout(seconds) if context.time_remaining() is None else None
            async with _Surroundings(self, context, deadline) as around:
                around.admit()
                answer = behaviour(await self._only_request(context), context)
                return self._encode(await (answer if deadline is None else _within(deadline, answer)))

        return serve

    def one_to_many(self, behaviour: Stream) -> Serve:
        async def serve(_: object, context: Context) -> None:
            async with _Surroundings(self, context) as around:
                around.admit()
                request = await self._only_request(context)
                await self._write_all(behaviour(request, context), context, request)

        return serve

    def many_to_many(self, behaviour: Stream) -> Serve:
        async def serve(_: object, context: Context) -> None:
            async with _Surroundings(self, context) as around:
                around.admit()
                await self._write_all(behaviour(self._requests(context), context), context)

        return serve

    async def _only_request(self, context: Context) -> object:
        async for request in self._requests(context):
            return request
        raise Invalid(reasons.INVALID_REQUEST, "the call ended without a request")

    async def _requests(self, context: Context) -> AsyncIterator[object]:
        while (raw := await read(context, self.patience.request_seconds)) is not grpc.aio.EOF:
            yield self._request(raw)

    def _request(self, raw: bytes) -> object:
        try:
            request = self._decode(raw)
        except DecodeError:
            message = "the request's bytes are not a message of the method's type"
            raise Invalid(reasons.INVALID_REQUEST, message) from None
        if isinstance(request, Message):
            validate(request)
            self._require_users(request)
        return request

    def _require_users(self, request: Message) -> None:
        for user in users_of(request, self.users):
            actor.require_user(user, self.right)

    async def _write_all(self, answers: AsyncGenerator[Any, None], context: Context, request: object = None) -> None:
        def admit_again() -> None:
            actor.act_as(self.identify(context))
            actor.require(self.right)
            if isinstance(request, Message):
                self._require_users(request)

        standing = Standing(self.access_in_force, admit_again)

        def written(answer: object) -> object:
            # A stream that says the same to many brings the bytes along.
            standing.require()
            return answer if isinstance(answer, bytes) else self._encode(answer)

        await write_all(answers, written, context, self.patience.read_seconds)


class _Surroundings:
    """One call: opened before its request is read, closed with its one status, its metrics and its log line."""

    __slots__ = ("_actor", "_context", "_deadline", "_method", "_started", "_trailers")

    def __init__(self, method: _Method, context: Context, deadline: asyncio.Timeout | None = None) -> None:
        self._method = method
        self._context = context
        self._deadline = deadline

    async def __aenter__(self) -> Self:
        self._started = perf_counter()
        self._method.meter.begin()
        self._trailers = call.open_call()
        self._actor = self._method.identify(self._context)
        actor.act_as(self._actor)
        logs.bind_for_task(request_id=self._trailers[call.REQUEST_ID_KEY], method=self._method.name)
        self._context.set_trailing_metadata(tuple(self._trailers.items()))
        return self

    def admit(self) -> None:
        """Pass a caller who has the right that the method needs, while there is room.

        gRPC bounds metadata only once the client has acknowledged that it is bounded.
        """
        if (found := call.metadata_bytes()) > self._method.metadata_bytes_max:
            raise Invalid(
                reasons.INVALID_REQUEST, f"{found} bytes of metadata; at most {self._method.metadata_bytes_max}"
            )
        if not self._actor.may(self._method.right):
            actor.require(self._method.right)
        caller = self._actor.name if self._actor.authenticated else None
        leave = self._method.room.enter(caller, stream=self._method.stream)
        self._context.add_done_callback(leave)  # type: ignore[arg-type]  # the stubs name a class, any callable does

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        # Cases: an answer; a failure by kind; our deadline; a caller too slow; an abort by the use case (its status
        # stands); a cancelled call (there is no one to answer); what nobody foresaw.
        match error:
            case None:
                self._context.set_trailing_metadata(tuple(self._trailers.items()))
                self._close(StatusCode.OK)
            case Failure():
                await self._refuse(refusal(error, self._method.domain))
            case TimeoutError() if self._deadline is not None and self._deadline.expired():
                seconds = self._method.patience.deadline_seconds
                await self._refuse(self._too_late(f"no deadline was given and {seconds:g} s have passed"))
            case TooLate():
                await self._refuse(self._too_late(str(error)))
            case grpc.aio.AbortError():
                self._close(_aborted_with(self._context.code()))
            case Exception():
                await self._refuse(internal(self._method.domain), error)
            case _:
                self._close(StatusCode.CANCELLED)

    async def _refuse(self, answer: Refusal, error: Exception | None = None) -> None:
        self._close(answer.code, answer, error)
        await self._context.abort(answer.code, answer.message, (*self._trailers.items(), *answer.trailers))

    def _too_late(self, message: str) -> Refusal:
        return plain_refusal(StatusCode.DEADLINE_EXCEEDED, reasons.DEADLINE_EXCEEDED, message, self._method.domain)

    def _close(self, code: StatusCode, answer: Refusal | None = None, error: Exception | None = None) -> None:
        seconds = perf_counter() - self._started
        self._method.meter.end(code, seconds)
        about: dict[str, object] = {
            "code": code.name,
            "ms": round(seconds * 1_000, 3),
            "actor": self._actor.name,
            "authenticated": self._actor.authenticated,
            **({"certificate": self._actor.certificate} if self._actor.certificate else {}),
            **{key.replace("-", "_"): value for key, value in self._trailers.items() if key != call.REQUEST_ID_KEY},
        }
        if answer is not None:
            about |= {"reason": answer.reason, "message": answer.message}
        logs.log_fields("call", about, level=_level(code, quiet=self._method.quiet), error=error)


async def _within(deadline: asyncio.Timeout, answer: Awaitable[object]) -> object:
    async with deadline:
        return await answer


def _aborted_with(code: StatusCode | int) -> StatusCode:
    """Return the code of an abort: gRPC gives back what the use case gave it, the enum or its number."""
    return code if isinstance(code, StatusCode) else _CODES.get(code, StatusCode.UNKNOWN)


def _level(code: StatusCode, *, quiet: bool) -> int:
    if code is StatusCode.INTERNAL:
        return logs.ERROR
    if code is StatusCode.UNAVAILABLE:
        return logs.WARNING
    return logs.DEBUG if quiet else logs.INFO


def _as_it_is(message: Any) -> Any:  # noqa: ANN401 - a method registered without messages deals in bytes
    return message
