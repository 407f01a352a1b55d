"""docs/mnesia.md names every function of Mnesia; where Erlang is installed, everything that its modules export."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "mnesia.md").read_text()

MANUAL = frozenset(
    re.findall(
        r"\S+",
        """
abort/1 activate_checkpoint/1 activity/2 activity/3 activity/4 add_table_copy/3 add_table_index/2 all_keys/1
async_dirty/1 async_dirty/2 backup/1 backup/2 backup_checkpoint/2 backup_checkpoint/3 change_config/2
change_table_access_mode/2 change_table_copy_type/3 change_table_load_order/2 change_table_majority/2 clear_table/1
create_schema/1 create_table/2 deactivate_checkpoint/1 del_table_copy/2 del_table_index/2 delete/1 delete/3
delete_object/1 delete_object/3 delete_schema/1 delete_table/1 dirty_all_keys/1 dirty_delete/1 dirty_delete/2
dirty_delete_object/1 dirty_delete_object/2 dirty_first/1 dirty_index_match_object/2 dirty_index_match_object/3
dirty_index_read/3 dirty_last/1 dirty_match_object/1 dirty_match_object/2 dirty_next/2 dirty_prev/2 dirty_read/1
dirty_read/2 dirty_select/2 dirty_slot/2 dirty_update_counter/2 dirty_update_counter/3 dirty_write/1 dirty_write/2
dump_log/0 dump_tables/1 dump_to_textfile/1 error_description/1 ets/1 ets/2 first/1 foldl/3 foldr/3
force_load_table/1 index_match_object/2 index_match_object/4 index_read/3 info/0 install_fallback/1
install_fallback/2 is_transaction/0 last/1 load_textfile/1 lock/2 match_object/1 match_object/3 move_table_copy/3
next/2 prev/2 read/1 read/2 read/3 read_lock_table/1 report_event/1 restore/2 s_delete/1 s_delete_object/1 s_write/1
schema/0 schema/1 select/1 select/2 select/3 select/4 set_debug_level/1 set_master_nodes/1 set_master_nodes/2
snmp_close_table/1 snmp_get_mnesia_key/2 snmp_get_next_index/2 snmp_get_row/2 snmp_open_table/2 start/0 stop/0
subscribe/1 sync_dirty/1 sync_dirty/2 sync_log/0 sync_transaction/1 sync_transaction/2 sync_transaction/3 system_info/1
table/1 table/2 table_info/2 transaction/1 transaction/2 transaction/3 transform_table/3 transform_table/4
traverse_backup/4 traverse_backup/6 uninstall_fallback/0 uninstall_fallback/1 unsubscribe/1 wait_for_tables/2 wread/1
write/1 write/3 write_lock_table/1
""",
    )
)
"""mnesia(3) of OTP 25."""

PARAMETERS = frozenset(
    re.findall(
        r"\S+",
        """
access_module auto_repair backup_module core_dir dc_dump_limit debug dir dump_disc_copies_at_startup
dump_log_load_regulation dump_log_time_threshold dump_log_update_in_place dump_log_write_threshold event_module
extra_db_nodes fallback_error_function max_wait_for_decision no_table_loaders schema_location send_compressed
""",
    )
)


def named(page: str) -> set[str]:
    """`name/1,2,3` in code spans, as name/1, name/2, name/3."""
    found = set()
    for name, arities in re.findall(r"`(?:mnesia:)?(\w+)/(\d+(?:,\d+)*)`", page):
        found.update(f"{name}/{arity}" for arity in arities.split(","))
    return found


def erlang(script: str) -> str:
    """What a line of Erlang prints."""
    called = ["erl", "-noshell", "-eval", f"{script}, halt()."]
    return subprocess.run(called, capture_output=True, text=True, timeout=60, check=True).stdout


@cache
def version() -> str:
    """Of the installed Mnesia."""
    return erlang(
        'application:load(mnesia), {ok, V} = application:get_key(mnesia, vsn), io:format("~s", [V])'
    )


@cache
def exports(module: str) -> frozenset[str]:
    """What an installed module exports."""
    said = erlang(f'[io:format("~s/~p~n", [F, A]) || {{F, A}} <- {module}:module_info(exports)]')
    return frozenset(line for line in said.split() if not line.startswith("module_info/"))


def test_every_function_of_the_manual_is_named() -> None:
    assert MANUAL - named(PAGE) == set()


def test_every_configuration_parameter_is_named() -> None:
    assert [name for name in PARAMETERS if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("module", ["mnesia", "mnesia_frag", "mnesia_frag_hash", "mnesia_registry"])
def test_everything_that_is_exported_is_named(module: str) -> None:
    if shutil.which("erl") is None or not version().startswith("4.21"):
        pytest.skip("the Mnesia of OTP 25 isn't installed")
    assert exports(module) - named(PAGE) == set()


def test_nothing_is_named_that_is_not_there() -> None:
    if shutil.which("erl") is None or not version().startswith("4.21"):
        pytest.skip("the Mnesia of OTP 25 isn't installed")
    found = (
        exports("mnesia") | exports("mnesia_frag") | exports("mnesia_frag_hash") | exports("mnesia_registry")
    )
    assert named(PAGE) - found == set()
    assert found >= MANUAL


def test_a_function_that_is_missing_is_found() -> None:
    assert named("| `read/1,2,3`, `mnesia:write/1` | `t.get` |") == {"read/1", "read/2", "read/3", "write/1"}
