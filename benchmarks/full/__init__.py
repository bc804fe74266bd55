"""What takes a million stored rows and more: partitions, the thesis's table, its Table 6.1; `make bench-full`."""
