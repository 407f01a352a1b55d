"""Tests of the benchmarks, with stand-ins for the servers; `test_peer` needs the real ejabberd."""
