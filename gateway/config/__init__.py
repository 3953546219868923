"""The configuration: YAML files, checked whole, become one frozen tree."""
