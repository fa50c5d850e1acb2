"""Writing new training texts: with a chat model, or by recombining texts that people labelled."""
