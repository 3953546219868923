"""Links: opened physical connections, each wrapping one library, and the thread that polls the devices on one."""
