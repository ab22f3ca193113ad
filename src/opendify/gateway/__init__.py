"""An OpenAI-compatible server over Dify apps. Stands on the async side of the SDK, which never imports it."""
