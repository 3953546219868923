"""The MQTT contract as data: schemas, an AsyncAPI document, promises, a page and an example for the other end."""
