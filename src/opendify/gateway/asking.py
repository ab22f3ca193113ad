"""One request, understood. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from opendify.gateway import structured
from opendify.gateway.catalog import Model
from opendify.gateway.conversation import Conversation, in_chinese
from opendify.gateway.faults import Fault
from opendify.gateway.memory import Owner
from opendify.gateway.tools import prompt
from opendify.gateway.wire import ChatRequest


class Asking(msgspec.Struct, frozen=True):
    """Who asks what, and of which model.

    Attributes:
        headers: Those of the request, by their names in lower case, as they came.
    """

    request: ChatRequest
    conversation: Conversation
    model: Model
    owner: Owner
    headers: Mapping[bytes, bytes]

    @property
    def answer_format(self) -> str:
        """What the model is told of the JSON that it must answer; empty where it may answer as it likes."""
        wanted = self.request.response_format
        if wanted is None:
            return ""
        toolset = self.request.toolset
        calls = toolset is not None and bool(toolset.allowed)
        return structured.instructions(wanted, chinese=in_chinese(self.conversation), calls=calls)

    def correction(self, fault: Fault, *, others: bool) -> str:
        """What the model is told of its mistake; ``others`` if calls of its answer are passed on."""
        request, chinese = self.request, in_chinese(self.conversation)
        if fault.kind == "json":
            assert request.response_format is not None, "who asks for no JSON gets no fault in it"
            return structured.correction(fault.what, request.response_format, chinese=chinese)
        assert request.toolset is not None, "who gives no tools gets no fault in calls"
        return prompt.correction(
            fault.kind,
            request.toolset,
            self.model.app.tool_prompt,
            name=fault.name,
            what=fault.what,
            others=others,
            chinese=chinese,
        )
