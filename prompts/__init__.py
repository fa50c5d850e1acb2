"""What is said to a chat model: versioned Markdown files and their loader."""
