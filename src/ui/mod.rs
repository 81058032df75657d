//! Everything that is shown or asked: one `Ui` for all output, the Markdown renderer, prompts.
