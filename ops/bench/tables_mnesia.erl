%% One node of the Mnesia pair that `waystation bench tables` compares with: ops/bench/mnesia.py starts two of them.
%%
%% Orders are Erlang terms on stdin, one to a line; each is answered with one line on stdout that begins with `@` and
%% holds a JSON object. The node ends at the end of its input. Which keys and values are written is said in
%% ops/bench/tables_plan.py; here is the same in Erlang, so that both systems write the same records.
-module(tables_mnesia).
-export([main/0, apart/2, contents/1]).

-define(MODULUS, 2147483647).
-define(MULTIPLIER, 48271).
-define(STRIDE, 2654435761).
-define(VALUE_BITS, 64).
-define(BUCKETS, 14848). % ops/bench/latency.py: 1,024 + 27 octaves of 512
-define(MASK64, 16#FFFFFFFFFFFFFFFF).

main() ->
    process_flag(trap_exit, true),
    answer([{node, atom_to_list(node())}, {otp, erlang:system_info(otp_release)},
            {schedulers, erlang:system_info(schedulers_online)}]),
    orders().

orders() ->
    case io:get_line("") of
        Line when is_list(Line) ->
            {ok, Tokens, _} = erl_scan:string(Line),
            {ok, Order} = erl_parse:parse_term(Tokens),
            try obey(Order) of
                Fields -> answer(Fields)
            catch
                Kind:Reason:Where ->
                    answer([{error, lists:flatten(io_lib:format("~p ~0p in ~0p", [Kind, Reason, Where]))}])
            end,
            orders();
        _ ->
            halt(0, [{flush, false}])
    end.

answer(Fields) ->
    io:put_chars(["@", json({Fields}), "\n"]).

json({Fields}) -> ["{", lists:join(",", [[json(Name), ":", json(Value)] || {Name, Value} <- Fields]), "}"];
json([]) -> "[]";
json([First | _] = Text) when is_integer(First) -> io_lib:format("~p", [Text]);
json(Values) when is_list(Values) -> ["[", lists:join(",", [json(Value) || Value <- Values]), "]"];
json({Bucket, Count}) -> ["[", json(Bucket), ",", json(Count), "]"];
json(true) -> "true";
json(false) -> "false";
json(Name) when is_atom(Name) -> ["\"", atom_to_list(Name), "\""];
json(Number) when is_integer(Number) -> integer_to_list(Number);
json(Number) when is_float(Number) -> io_lib:format("~.6f", [Number]).

%% Orders

obey({create, Peer, Storage, Tables}) ->
    true = net_kernel:connect_node(Peer),
    Nodes = [node(), Peer],
    ok = mnesia:create_schema(Nodes),
    {[ok, ok], []} = rpc:multicall(Nodes, mnesia, start, []),
    [{atomic, ok} = mnesia:create_table(table(Table), [{Storage, Nodes}, {attributes, [key, value]}])
     || Table <- lists:seq(0, Tables - 1)],
    {[ok, ok], []} = rpc:multicall(Nodes, mnesia, wait_for_tables, [tables(Tables), infinity]),
    [];
obey({open, Tables}) ->
    Began = erlang:monotonic_time(microsecond),
    ok = mnesia:start(),
    ok = mnesia:wait_for_tables(tables(Tables), infinity),
    Seconds = (erlang:monotonic_time(microsecond) - Began) / 1.0e6,
    [{seconds, Seconds}, {sources, [atom_to_list(mnesia:table_info(table(Table), load_node)) || Table <- lists:seq(0, Tables - 1)]}];
obey({leave}) ->
    stopped = mnesia:stop(),
    [];
obey({write, Mode, Phase, Tables, Keys, Writers, Writes, Bytes}) ->
    write(Mode, Phase, Tables, Keys, Writers, Writes, Bytes);
obey({dump}) ->
    Began = erlang:monotonic_time(microsecond),
    everywhere(dump_log, dumped),
    [{seconds, (erlang:monotonic_time(microsecond) - Began) / 1.0e6}];
obey({contents, Tables}) ->
    Parts = [rpc:call(Node, ?MODULE, contents, [Tables]) || Node <- lists:sort(mnesia:system_info(running_db_nodes))],
    [{nodes, [{[{records, Records}, {digest, Digest}]} || {Records, Digest} <- Parts]}].

everywhere(Function, Wanted) ->
    {Results, []} = rpc:multicall(mnesia:system_info(running_db_nodes), mnesia, Function, []),
    true = lists:all(fun(Result) -> Result =:= Wanted end, Results).

table(Number) -> list_to_atom("table_" ++ integer_to_list(Number)).

tables(Count) -> [table(Number) || Number <- lists:seq(0, Count - 1)].

%% Writing

write(Mode, Phase, Tables, Keys, Writers, Writes, Bytes) ->
    Histogram = counters:new(?BUCKETS, [write_concurrency]),
    Filler = binary:copy(<<"x">>, Bytes - ?VALUE_BITS div 8),
    Began = erlang:monotonic_time(microsecond),
    Running = [spawn_monitor(?MODULE, apart, [writer(Mode, Phase, Tables, Keys, Writers, Writes, Filler, Index), Histogram])
               || Index <- lists:seq(0, Writers - 1)],
    [receive
         {'DOWN', Monitor, process, Pid, normal} -> ok;
         {'DOWN', Monitor, process, Pid, Reason} -> error({writer, Reason})
     end || {Pid, Monitor} <- Running],
    Issued = erlang:monotonic_time(microsecond),
    everywhere(sync_log, ok),
    Ended = erlang:monotonic_time(microsecond),
    [{issued_seconds, (Issued - Began) / 1.0e6}, {seconds, (Ended - Began) / 1.0e6}, {writes, Writes},
     {latencies, [{Bucket, Count} || Bucket <- lists:seq(0, ?BUCKETS - 1),
                                     (Count = counters:get(Histogram, Bucket + 1)) > 0]}].

%% In the writer's process. Its last write is made by the waiting form of the same call, so that the other node, which
%% takes a process's messages in order, has all of them when it returns.
apart({Mode, Tab, State, Key, Value, Count}, Histogram) ->
    loop(Mode, Tab, State, Key, Value, 0, Count, Histogram).

writer(Mode, Phase, Tables, Keys, Writers, Writes, Filler, Index) ->
    Seed = 1 + (Phase * 7919 + Index * 104729) rem (?MODULUS - 1),
    Parts = Writers div Tables,
    Slot = Index div Tables,
    Count = case Mode of
                fill -> share(Writes div Tables, Parts, Slot);
                _ -> share(Writes, Writers, Index)
            end,
    Key = case Mode of
              fill -> {permuted, Keys, Parts, Slot};
              update -> {shared, Keys};
              _ -> {own, Keys div Parts, Parts, Slot}
          end,
    {Mode, table(Index rem Tables), Seed, Key, {(Phase bsl 44) bor (Index bsl 32), Filler}, Count}.

loop(_Mode, _Tab, _State, _Key, _Value, Count, Count, _Histogram) ->
    ok;
loop(update, Tab, State, {shared, Keys} = Key, {_, Filler} = Value, Done, Count, Histogram) ->
    First = next(State),
    Second = next(First),
    One = First rem Keys,
    Other = case Second rem Keys of One -> (One + 1) rem Keys; Differs -> Differs end,
    Change = fun() -> raise(Tab, One, Filler), raise(Tab, Other, Filler) end,
    transaction(Change, Done + 1 =:= Count, Histogram),
    loop(update, Tab, Second, Key, Value, Done + 1, Count, Histogram);
loop(Mode, Tab, State, Key, {Base, Filler} = Value, Done, Count, Histogram) ->
    After = next(State),
    Record = {Tab, key(Key, After, Done), <<(Base + Done):?VALUE_BITS, Filler/binary>>},
    put_one(Mode, Record, Done + 1 =:= Count, Histogram),
    loop(Mode, Tab, After, Key, Value, Done + 1, Count, Histogram).

put_one(sync, Record, _Last, Histogram) ->
    timed(Histogram, fun() -> ok = mnesia:sync_dirty(fun() -> mnesia:write(Record) end) end);
put_one(durable, Record, _Last, Histogram) ->
    timed(Histogram, fun() ->
        ok = mnesia:sync_dirty(fun() -> mnesia:write(Record) end),
        everywhere(sync_log, ok)
    end);
put_one(transaction, Record, Last, Histogram) ->
    transaction(fun() -> mnesia:write(Record) end, Last, Histogram);
put_one(_Async, Record, false, _) ->
    mnesia:dirty_write(Record);
put_one(_Async, Record, true, _) ->
    ok = mnesia:sync_dirty(fun() -> mnesia:write(Record) end).

transaction(Change, false, Histogram) ->
    timed(Histogram, fun() -> {atomic, ok} = mnesia:transaction(Change) end);
transaction(Change, true, _) ->
    {atomic, ok} = mnesia:sync_transaction(Change).

raise(Tab, Key, Filler) ->
    Number = case mnesia:read(Tab, Key, write) of
                 [{_, _, <<Found:?VALUE_BITS, _/binary>>}] -> Found;
                 [] -> 0
             end,
    mnesia:write({Tab, Key, <<(Number + 1):?VALUE_BITS, Filler/binary>>}).

share(Whole, Parts, Place) -> Whole div Parts + (if Place < Whole rem Parts -> 1; true -> 0 end).

next(State) -> State * ?MULTIPLIER rem ?MODULUS.

key({own, Share, Parts, Slot}, State, _) -> State rem Share * Parts + Slot;
key({permuted, Keys, Parts, Slot}, _, Done) -> (Done * Parts + Slot) * ?STRIDE rem Keys.

timed(Histogram, Write) ->
    Began = erlang:monotonic_time(microsecond),
    Write(),
    counters:add(Histogram, bucket(erlang:monotonic_time(microsecond) - Began) + 1, 1).

bucket(Us) when Us < 1024 -> Us;
bucket(Us) -> bucket(Us, 1).

bucket(Us, Shift) when (Us bsr Shift) < 1024 -> 512 * Shift + (Us bsr Shift);
bucket(Us, Shift) -> bucket(Us, Shift + 1).

%% What a node holds: the number of records, and the sum of their checksums

contents(Tables) ->
    lists:foldl(fun(Tab, {Records, Sum}) ->
                    Found = ets:foldl(fun({_, Key, Value}, Acc) ->
                                          Acc + erlang:crc32([<<Key:64>>, Value])
                                      end, 0, Tab),
                    {Records + ets:info(Tab, size), (Sum + Found) band ?MASK64}
                end, {0, 0}, tables(Tables)).
