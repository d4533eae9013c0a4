"""The commands of `recns-tf`, one a file; registry.COMMANDS lists them."""
