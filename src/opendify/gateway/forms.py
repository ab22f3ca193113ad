"""Forms that clients have been asked to have filled in: kept until they are answered, each for its owner."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from opendify import APIStatusError
from opendify.gateway.attachments import Attachment
from opendify.gateway.calls import HUMAN, new_id
from opendify.gateway.catalog import Model
from opendify.gateway.conversation import Conversation
from opendify.gateway.errors import OpenAIError, invalid
from opendify.gateway.human import Reply, answer, refused, replies, unknown
from opendify.gateway.memory import Owner
from opendify.gateway.store import Store
from opendify.gateway.uploads import Uploads
from opendify.types import HumanInputAnswer, HumanInputForm, PauseReason

AFTERWARDS = 24 * 3600.0
"""Seconds for which a form is remembered after its time is over, to say so."""

FORM_SECONDS = 36 * 3600.0
"""How long a form waits that does not say it: Dify's own default."""


class Form(msgspec.Struct, frozen=True):
    """What is kept of a form.

    Attributes:
        run: Dify's id of the run that waits.
        form: Dify's id of the form.
        token: What it is submitted with: a secret.
        told: The client got some of the run's text before.
    """

    run: str
    form: str
    token: str
    told: bool = False

    def __repr__(self) -> str:
        return f"Form(run={self.run!r}, form={self.form!r})"


@dataclass(frozen=True, slots=True)
class Submission:
    """A form that is to be submitted, with what the person said."""

    form: Form
    asked: HumanInputForm
    answer: HumanInputAnswer
    reply: Reply


_decode = msgspec.json.Decoder(Form).decode


class Forms:
    """Keeps forms under the ids of the calls that ask for them.

    Args:
        store: Where they are kept; both ways bound to the owner.
        uploads: How files in answers get to Dify.
    """

    def __init__(self, store: Store, uploads: Uploads) -> None:
        self._store = store
        self._uploads = uploads

    async def keep(self, form: PauseReason, run: str, owner: Owner, *, told: bool) -> str:
        """Remember a form, until a while after it has expired.

        Args:
            form: One with a token.
            run: Dify's id of the run that waits for it.
            told: The client has got some of the run's text.

        Returns:
            A new id for the call that asks for it.
        """
        call_id = new_id(HUMAN)
        kept = Form(run, form.form_id or "", form.form_token or "", told)
        left = FORM_SECONDS if form.expiration_time is None else form.expiration_time - time.time()
        entry = {owner.key("form", call_id): msgspec.json.encode(kept).decode()}
        await self._store.put(entry, ttl=max(left, 0.0) + AFTERWARDS)
        return call_id

    async def answered(self, conversation: Conversation, model: Model, owner: Owner) -> Sequence[Submission]:
        """The forms that a request answers; nothing if it only looks back at some.

        Raises:
            OpenAIError: If it is not for this owner to answer them, or not with this, or not any more. The
                forms still wait.
            DifyError: If Dify can't be asked.
        """
        given = replies(conversation)
        kept = [await self._store.get(owner.key("form", reply.call_id)) for reply in given]
        found = [(reply, _decode(form)) for reply, form in zip(given, kept, strict=True) if form is not None]
        if conversation.question is not None:
            for reply, form in found:
                await self._let_go(form, reply, model)
            return ()
        for reply, known in zip(given, kept, strict=True):
            if known is None:
                raise unknown(reply, model.id)
        if 0 < len(given) < len(conversation.results):
            raise _refused(
                "Results of other tools stand beside this answer. A run that waits for a person takes the "
                "answers to its forms alone.",
                given[0].where,
            )
        _check_one_run(found)
        return [await self._submission(form, reply, model, owner) for reply, form in found]

    async def _let_go(self, form: Form, reply: Reply, model: Model) -> None:
        """The user went on: fine where the form is closed, and else the answer would be lost unseen."""
        try:
            await model.client.human_input.form(form.token)
        except APIStatusError as error:
            if refused(error, reply, None, model.id) is None:
                raise
            return
        raise _refused(
            "This answers a form that still waits. What the user says beside it can't go to the run that "
            "waits: leave it for the next request.",
            reply.where,
        )

    async def _submission(self, form: Form, reply: Reply, model: Model, owner: Owner) -> Submission:
        asked: HumanInputForm | None = None
        try:
            asked = await model.client.human_input.form(form.token)
            said = answer(asked, reply)
            inputs = {name: await self._placed(value, model, owner) for name, value in said.inputs.items()}
        except APIStatusError as error:
            raise refused(error, reply, asked, model.id) or error from None
        return Submission(form, asked, HumanInputAnswer(said.action, inputs), reply)

    async def _placed(self, value: object, model: Model, owner: Owner) -> object:
        """A value of a form as Dify takes it: files uploaded."""
        if isinstance(value, Attachment):
            return (await self._uploads.place([value], model.client, owner))[0]
        if isinstance(value, list):
            files = [file for file in cast("list[object]", value) if isinstance(file, Attachment)]
            return await self._uploads.place(files, model.client, owner)
        return value


def _check_one_run(found: Sequence[tuple[Reply, Form]]) -> None:
    seen: set[str] = set()
    for reply, form in found:
        if form.run != found[0][1].run:
            raise _refused(
                "These messages answer forms of several runs; a request goes on in one.", reply.where
            )
        if form.token in seen:
            raise _refused("This form is answered twice.", reply.where)
        seen.add(form.token)


def _refused(what: str, where: str) -> OpenAIError:
    return invalid(what, where, code="invalid_human_input")
