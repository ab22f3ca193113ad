"""How the reference reads docstrings: examples become code to copy, parameters a list, fields a table.

mkdocs.yml names it. Docstrings are read in terminals and editors too, so they are written for there.
"""

import re
from collections.abc import Iterator
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.M)
PARAMETER = re.compile(r"(?:^|(?<=[.;)]\s))(?=(?:`\w+`(?:,| and)\s)*`\w+`: )", re.M)
TYPES = "opendify.types"
SPECIAL = re.compile(r"([\[\]|_*<])")  # what Markdown would take for its own


def as_code(example: re.Match[str]) -> str:
    """A doctest as Python code, with what it prints as comments."""
    lines = [
        line[4:] if line.startswith((">>> ", "... ")) else "" if line == "..." else f"# {line}"
        for line in example[0].splitlines()
    ]
    return "\n".join(["```python", *lines, "```"])


def as_list(paragraph: str) -> str:
    """A paragraph that tells of parameters, one after the other, as a list of them."""
    before, *parameters = PARAMETER.split(paragraph)
    if not parameters:
        return paragraph
    items = ["- " + " ".join(parameter.split()) for parameter in parameters]
    return "\n".join([before.rstrip(), "", *items] if before.strip() else items)


def as_markdown(docstring: str) -> str:
    """A docstring as the reference shows it."""
    text = EXAMPLE.sub(as_code, docstring)
    return "\n\n".join(
        paragraph if "```" in paragraph else as_list(paragraph) for paragraph in text.split("\n\n")
    )


def in_plain_words(types: griffe.Module) -> dict[str, str]:
    """What the annotations that types share are, once their validators are taken off: `Many` is a `list`."""
    return {
        name: str(alias.value.slice.elements[0]).removesuffix("[T]")
        for module in types.modules.values()
        for name, alias in module.attributes.items()
        if module.is_private or alias.is_private
        if isinstance(alias.value, griffe.ExprSubscript) and str(alias.value.left) == "Annotated"
    }


def as_type(annotation: griffe.Expr | str | None, plain: dict[str, str]) -> str:
    """An annotation, with links to the types in it."""
    parts: list[str] = []
    for part in annotation.iterate(flat=True) if isinstance(annotation, griffe.Expr) else [annotation or ""]:
        name = part.name if isinstance(part, griffe.ExprName) else str(part)
        if isinstance(part, griffe.ExprName) and part.canonical_path.startswith(TYPES) and name not in plain:
            parts.append(f"[{name}][{part.canonical_path}]")
        else:
            parts.append(SPECIAL.sub(r"\\\1", plain.get(name, name)))
    return f"<code>{''.join(parts)}</code>"


def fields(kind: griffe.Class) -> Iterator[griffe.Attribute]:
    """The fields of a type, those of its bases first."""
    for base in kind.resolved_bases:
        if isinstance(base, griffe.Class):
            yield from fields(base)
    for member in kind.members.values():
        if isinstance(member, griffe.Attribute) and member.annotation and not member.is_private:
            yield member


def as_table(kind: griffe.Class, plain: dict[str, str]) -> str:
    """The fields of a type as a table."""
    lines = ["| field | type | |", "|---|---|---|"]
    for field in {field.name: field for field in fields(kind)}.values():
        about = " ".join(field.docstring.value.split()) if field.docstring else ""
        lines.append(f"| `{field.name}` | {as_type(field.annotation, plain)} | {about} |")
    return "\n".join(lines if len(lines) > 2 else [])


def inside(thing: griffe.Object) -> Iterator[griffe.Object]:
    """A module or class, and all that is in it."""
    yield thing
    for member in thing.members.values():
        if isinstance(member, griffe.Object):
            yield from inside(member)


class Docstrings(griffe.Extension):
    """Makes docstrings Markdown once all is loaded, before any of it is rendered."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """The package has been loaded."""
        everything = list(inside(pkg))
        for thing in everything:
            if thing.docstring:
                thing.docstring.value = as_markdown(thing.docstring.value)
            if isinstance(thing, griffe.Class) and thing.name in ("AsyncResource", "Resource"):
                del thing.members["__init__"]  # nobody but a client makes a resource
        types = [
            thing for thing in everything if isinstance(thing, griffe.Class) and thing.path.startswith(TYPES)
        ]
        plain = in_plain_words(pkg["types"])
        for kind in types:
            if kind.docstring and (table := as_table(kind, plain)):
                kind.docstring.value += f"\n\n{table}"
        for kind in types:
            for field in fields(kind):
                field.docstring = None  # it stands in the table
