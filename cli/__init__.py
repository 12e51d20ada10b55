"""The `interlock` command: what a person does from a shell, such as making certificates of a development CA."""
