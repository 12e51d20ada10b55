"""Which users a request names: found in its type when the server is built, so that no method can forget to ask.

A user is the string field `user_id`, of the request or of a message in it. A request that names users in any other way
is refused when the server is built, until this module learns to read it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

if TYPE_CHECKING:
    import grpc

FIELD: Final = "user_id"
MAX_DEPTH: Final = 8

Path: TypeAlias = tuple[str, ...]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class UnreadableUser(Exception):  # noqa: N818 - it refuses to build a server
    """A field names users in a form that nobody would check; the message names it."""


def users_named(handler: Handler) -> tuple[Path, ...]:
    """Return where the requests of a method name users; a method that deals in bytes has no names to read.

    Raises:
        UnreadableUser: in a form that nobody would check.
    """
    kind = getattr(handler.request_deserializer, "__self__", None)  # FromString is bound to its message class
    if not (isinstance(kind, type) and issubclass(kind, Message)):
        return ()
    return user_paths(kind.DESCRIPTOR)  # type: ignore[arg-type]  # the stubs know two classes of the same shape


def user_paths(request: Descriptor) -> tuple[Path, ...]:
    """Return where a request of that type names users: () when nowhere.

    Raises:
        UnreadableUser: a repeated `user_id`, one in a list or a map, or another field with "user" in its name.
    """
    return tuple(_paths(request, (), listed=False))


def users_of(request: Message, paths: tuple[Path, ...]) -> Iterator[str]:
    """Yield the users named. Empty where the request leaves out whom it is about: then it is about all of them.

    A part of a `oneof`, or an optional field, that is not set says nothing and yields nothing.
    """
    for *parents, name in paths:
        message = request
        for parent in parents:
            message = getattr(message, parent)
        field = message.DESCRIPTOR.fields_by_name[name]
        if not field.has_presence or message.HasField(name):
            yield getattr(message, name)


def _paths(message: Descriptor, before: Path, *, listed: bool) -> Iterator[Path]:
    if len(before) >= MAX_DEPTH:
        raise UnreadableUser(f"{message.full_name}: messages inside messages deeper than {MAX_DEPTH}")
    for field in message.fields:
        path = (*before, field.name)
        if field.name == FIELD and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated and not listed:
            yield path
        elif "user" in field.name:
            raise UnreadableUser(f"{message.full_name}.{field.name}: expected a single string {FIELD}, in no list")
        elif field.message_type is not None and not field.message_type.full_name.startswith("google.protobuf."):
            yield from _paths(field.message_type, path, listed=listed or field.is_repeated)
