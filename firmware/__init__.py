"""The application: tasks and policy. Knows lib; board and network come in through constructors."""
