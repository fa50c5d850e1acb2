"""Asking a chat model which items to label: by index, by score, by usefulness, by difficulty."""
