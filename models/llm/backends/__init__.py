"""What can stand behind the gateway, one file for each; `models.chat` turns a string into one."""
