"""What to do next, by the code with which Dify refuses. Pure.

The codes are all that Dify's specification (1.16) and the code of 1.12 know; those for which nothing can be
said that the exception's class does not say are left out.
"""

from __future__ import annotations

__all__ = ["ADVICE"]

ADVICE: dict[str, str] = {
    # The app and its model
    "agent_not_published": "Publish the agent in Dify first.",
    "app_unavailable": "Check that the app is published and is of the kind that this call is for.",
    "completion_request_error": "So says the model's provider; try again later, or choose another model.",
    "conversation_completed": "Leave conversation_id out to start a new conversation.",
    "model_currently_not_support": "Choose another model in the app's settings in Dify.",
    "not_chat_app": "Use client.completion for a text generator, client.workflows for a workflow.",
    "not_completion_app": "Use client.chat for a chat app or chatflow, client.workflows for a workflow.",
    "not_workflow_app": "Use client.chat for a chat app or chatflow, client.completion for a text generator.",
    "provider_not_initialize": "Set the model provider's credentials in Dify: Settings, Model Provider.",
    "provider_quota_exceeded": "Top up the provider, or set your own credentials in Dify.",
    "rate_limit_error": "The workspace's plan allows no more runs at present; wait, or raise the plan.",
    "workflow_version_execution_not_allowed": "Leave workflow_id out to run the published version.",
    # Files and speech
    "audio_too_large": "Send at most 30 MB; a longer recording can go in parts.",
    "bad_request_key_error": "A part of the form is missing; a file goes in the part named file.",
    "file_access_denied": "The file was sent to another app; ask with the key of that one.",
    "file_extension_blocked": "This Dify is set up to refuse files with this extension.",
    "file_not_found": "A file can be had once it was sent with a message to this app.",
    "filename_not_exists_error": "Give the file a name: name=….",
    "no_audio_uploaded": "Send a recording as mp3, m4a, wav, amr or mpga.",
    "no_file_uploaded": "Send a file with the form, in the part named file.",
    "provider_not_support_speech_to_text": "Choose such a model in Dify: Settings, Model Provider.",
    "speech_to_text_disabled": "Switch speech to text on among the app's features in Dify.",
    "too_many_files": "Send one file with each call.",
    "unsupported_audio_type": "Send mp3, m4a, wav, amr or mpga, under a name with that extension.",
    "unsupported_file_type": "Send a type that Dify takes here; it goes by the name's extension.",
    "unsupported_media_type": "Send the body as JSON, or as a form where the call is for a file.",
    # Forms of runs that wait for a person
    "human_input_form_expired": "Nobody answered in time, and the run went on without; its events tell how.",
    "human_input_form_submitted": "Somebody has answered it before; the run goes on with that answer.",
    "invalid_form_data": "human_input.form(form_token) tells which inputs and actions the form has.",
    # Knowledge
    "archived_document_immutable": "Take the document out of the archive first, with documents.set_status.",
    "dataset_in_use": "Take the dataset out of the apps that use it first.",
    "dataset_name_duplicate": "Choose another name; datasets.list(keyword=…) finds the dataset that has it.",
    "dataset_not_initialized": "Add a document to the dataset, and wait until it is indexed.",
    "document_indexing": "Wait until the document is indexed; documents.indexing_status tells.",
    "invalid_action": "Take one of the actions that the method's documentation names.",
    "invalid_metadata": "metadata.list tells which fields the dataset has; metadata.create makes one.",
    "pipeline_run_error": "The log of the pipeline's runs in Dify tells which node failed.",
}
