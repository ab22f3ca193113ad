"""The forms that runs wait for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._call import Reply, read_as
from .._runs import form_path, submission
from ..types.human_input import HumanInputAnswer, HumanInputForm
from ._resource import AsyncResource

__all__ = ["AsyncHumanInput"]

_form = read_as(HumanInputForm)


class AsyncHumanInput(AsyncResource):
    """A workflow or chatflow that waits for a person: its form, and the answer. Dify 1.14 and later.

    A run that waits ends its stream with `workflow_paused`, and its reply has the status "paused"; both hold
    the forms with their tokens. When a form is submitted the run goes on, and `workflows.events` or
    `chat.events` follows it. `human_input=` of `workflows.run` and `chat.send` does all that.
    """

    async def form(self, form_token: str) -> HumanInputForm:
        """The form, for a person to fill in.

        Raises `NotFoundError` where it is not a form of this app that may be shown through this API, and
        `PreconditionFailedError` where it was submitted already or has expired.

        >>> async def question(dify: AsyncDify, form_token: str) -> str:
        ...     form = await dify.human_input.form(form_token)
        ...     return f"{form.form_content} {[action.title for action in form.actions]}"
        """

        def read(reply: Reply) -> HumanInputForm:
            return _form(reply).model_copy(update={"form_token": form_token})

        return await self._send("GET", form_path(form_token), read)

    async def submit(
        self,
        form_token: str,
        *,
        action: str,
        inputs: Mapping[str, Any] | None = None,
        user: str | None = None,
    ) -> None:
        """Answer the form, once: the run goes on.

        `action`: the id of one of its `actions`. `inputs`: the values of its `inputs`, all of them, by their
        `output_variable_name`; for a file an item such as `files` of a message has. `user`: who answers.

        Raises `BadRequestError` (code "invalid_form_data") for an action or inputs that are not the form's,
        and the errors of `form`.

        >>> async def approve(dify: AsyncDify, form_token: str) -> None:
        ...     form = await dify.human_input.form(form_token)
        ...     texts = [field for field in form.inputs if field.type == "paragraph"]
        ...     values = {field.output_variable_name: "Looks good." for field in texts}
        ...     await dify.human_input.submit(form_token, action=form.actions[0].id, inputs=values)
        """
        answer = HumanInputAnswer(action, inputs or {})
        await self._caller.send(submission(form_token, answer, user=self._caller.named(user)))
