"""Print buf/validate/validate.proto from the installed protovalidate package, which ships no .proto text.

`make validate-proto` runs it after an upgrade of protovalidate; the result is committed under third_party/. The
descriptor inside the package carries no comments, so neither does the file (docs/decisions/0001).
"""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    text_format,
    timestamp_pb2,
)
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

HEADER = """\
// Printed from the protovalidate Python package by `make validate-proto`; do not edit.
// Copyright Buf Technologies, Inc. Licensed under the Apache License, Version 2.0.
"""
MAX_FIELD_NUMBER = 536_870_912
"""End (exclusive) of an `extensions n to max` range, https://protobuf.dev/programming-guides/proto2/#extensions."""

IMPORTED = (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2)
"""Importing these puts what validate.proto imports into the default pool."""

Field = descriptor_pb2.FieldDescriptorProto
Enum = descriptor_pb2.EnumDescriptorProto
Record = descriptor_pb2.DescriptorProto
File = descriptor_pb2.FileDescriptorProto

SCALARS = {number: name.removeprefix("TYPE_").lower() for name, number in Field.Type.items()}
LABELS = {Field.LABEL_OPTIONAL: "optional ", Field.LABEL_REQUIRED: "required ", Field.LABEL_REPEATED: "repeated "}


def main() -> None:
    """Write the text to standard output."""
    sys.stdout.write(HEADER + "\n".join(print_file(read_descriptor())) + "\n")


def read_descriptor() -> File:
    """Return the file's descriptor, its custom options known to the default pool and therefore readable."""
    from protovalidate._gen.buf.validate import validate_pb  # noqa: PLC0415  # private: only this tool may depend on it

    serialized = next(
        node.args[0].value
        for node in ast.walk(ast.parse(inspect.getsource(validate_pb)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "file_desc"
        and isinstance(node.args[0], ast.Constant)
    )
    if not isinstance(serialized, bytes):
        message = "protovalidate's generated module has another shape than this tool knows"
        raise TypeError(message)
    descriptor_pool.Default().AddSerializedFile(serialized)
    return File.FromString(serialized)


def print_file(file: File) -> Iterator[str]:
    """Yield the lines of a proto2 file: imports, options, enums, messages, extensions."""
    yield f'syntax = "{file.syntax or "proto2"}";'
    yield f"\npackage {file.package};\n"
    yield from (f'import "{name}";' for name in file.dependency)
    yield ""
    yield from print_options(file.options, "")
    for enum in file.enum_type:
        yield from print_enum(enum, "")
    for record in file.message_type:
        yield from print_message(record, "")
    for extendee, fields in groupby(file.extension, key=lambda field: field.extendee):
        yield f"\nextend {extendee} {{"
        yield from (print_field(field, "  ") for field in fields)
        yield "}"


def print_message(record: Record, indent: str) -> Iterator[str]:
    """Yield one message with everything nested in it."""
    inner = indent + "  "
    yield f"\n{indent}message {record.name} {{"
    yield from print_options(record.options, inner)
    for enum in record.enum_type:
        yield from print_enum(enum, inner)
    for nested in record.nested_type:
        yield from print_message(nested, inner)
    yield from print_fields(record, inner)
    for extensions in record.extension_range:
        last = "max" if extensions.end >= MAX_FIELD_NUMBER else str(extensions.end - 1)
        yield f"{inner}extensions {extensions.start} to {last};"
    yield from (f"{inner}reserved {r.start} to {r.end - 1};" for r in record.reserved_range)
    yield from (f'{inner}reserved "{name}";' for name in record.reserved_name)
    yield indent + "}"


def print_fields(record: Record, indent: str) -> Iterator[str]:
    """Yield fields in their order, those of one oneof together."""

    def oneof_of(field: Field) -> int | None:
        return field.oneof_index if field.HasField("oneof_index") and not field.proto3_optional else None

    for index, fields in groupby(record.field, key=oneof_of):
        if index is None:
            yield from (print_field(field, indent) for field in fields)
            continue
        yield f"{indent}oneof {record.oneof_decl[index].name} {{"
        yield from print_options(record.oneof_decl[index].options, indent + "  ")
        yield from (print_field(field, indent + "  ", in_oneof=True) for field in fields)
        yield indent + "}"


def print_field(field: Field, indent: str, *, in_oneof: bool = False) -> str:
    """Return the line of one field; a member of a oneof has no label."""
    label = "" if in_oneof else LABELS[field.label]
    kind = field.type_name or SCALARS[field.type]
    return f"{indent}{label}{kind} {field.name} = {field.number}{bracketed(options_of(field.options))};"


def print_enum(enum: Enum, indent: str) -> Iterator[str]:
    """Yield one enum; its reserved ranges include their end, unlike those of messages."""
    yield f"\n{indent}enum {enum.name} {{"
    yield from print_options(enum.options, indent + "  ")
    for value in enum.value:
        yield f"{indent}  {value.name} = {value.number}{bracketed(options_of(value.options))};"
    yield from (f"{indent}  reserved {r.start} to {r.end};" for r in enum.reserved_range)
    yield from (f'{indent}  reserved "{name}";' for name in enum.reserved_name)
    yield indent + "}"


def print_options(options: Message, indent: str) -> Iterator[str]:
    """Yield `option x = y;` lines."""
    yield from (f"{indent}option {name} = {text};" for name, text in options_of(options))


def bracketed(options: Iterable[tuple[str, str]]) -> str:
    """Return ` [x = y, …]`, or nothing when there are no options."""
    text = ", ".join(f"{name} = {value}" for name, value in options)
    return f" [{text}]" if text else ""


def options_of(options: Message) -> Iterator[tuple[str, str]]:
    """Yield name and printed value of every option set; a repeated one once per value."""
    for field, value in options.ListFields():
        name = f"({field.full_name})" if field.is_extension else field.name
        for item in value if field.is_repeated else [value]:
            yield name, literal(field, item)


def literal(field: FieldDescriptor, value: Any) -> str:  # noqa: ANN401  # a field's value is of whatever type the field has
    """Return a value as the .proto language writes it."""
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    if isinstance(value, Message):
        return "{ " + text_format.MessageToString(value, as_one_line=True, as_utf8=True) + " }"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    main()
