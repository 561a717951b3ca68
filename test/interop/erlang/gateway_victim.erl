%% The commander of the gateway's attack tests: ordinary processes that deal with a worker, and the means to see what became of
%% them. It knows nothing of the attacks, so that atoms of an attack are new to this node. Attacks are named by strings here.
-module(gateway_victim).
-export([start/1, fresh/2, ask/2, effect/1, snapshot/0, settle/1]).
-export([keeper/1, plain/1]).

-define(SETTLE_MS, 3000).

%% Once per node. Third: a node that this one could reach.
start(Third) ->
    %% What is loaded on first use would look like atoms of an attack.
    [ok = code:ensure_modules_loaded(Modules) || App <- [kernel, stdlib], {ok, Modules} <- [application:get_key(App, modules)]],
    Self = self(),
    spawn(?MODULE, keeper, [Self]),
    receive ready -> ok end,
    {ok, _} = pg:start(pg),
    ets:insert(gateway_victim, {third, Third}),
    ok.

%% Owns the tables, and has a registered name that nobody told anybody.
keeper(Starter) ->
    register(gateway_target, self()),
    ets:new(gateway_victim, [named_table, public]),
    ets:new(gateway_heard, [named_table, public, duplicate_bag]),
    Starter ! ready,
    hear().

hear() ->
    receive Message -> note(Message), hear() end.

note(What) -> ets:insert(gateway_heard, {heard, What}).

%% New victims in place of the last ones, shown to the worker in ordinary use: as caller, as server, as group leader.
fresh(Attack, Worker) ->
    [exit(P, kill) || Name <- [plain, server], {_, P} <- ets:take(gateway_victim, Name)],
    ets:delete_all_objects(gateway_heard),
    Third = pid(third),
    case Attack of
        "a third node dropped with net_kernel" -> pong = net_adm:ping(Third);
        _ -> erlang:disconnect_node(Third), interop:wait(fun() -> not lists:member(Third, nodes(connected)) end)
    end,
    {ok, Server} = gen_server:start(interop, [], []),
    Plain = spawn(?MODULE, plain, [none]),
    ets:insert(gateway_victim, [{plain, Plain}, {server, Server}, {atoms, erlang:system_info(atom_count)}]),
    ok = do(Plain, fun() ->
        gen_server:call({attacker, Worker}, {shown, Plain, Server, erlang:alias()})
    end),
    ok = rpc:call(Worker, gateway_attacks, at_work, []),
    ok.

%% Keeps what it hears, and runs what it is told to by this node.
plain(Held) ->
    receive
        {do, Key, From, Ref, Fun} when Key =:= gateway_victim, node(From) =:= node() ->
            From ! {Ref, catch Fun()},
            plain(Held);
        Message ->
            note(Message),
            plain(Held)
    end.

do(Plain, Fun) ->
    Ref = monitor(process, Plain),
    Plain ! {do, gateway_victim, self(), Ref, Fun},
    receive
        {Ref, Value} -> demonitor(Ref, [flush]), Value;
        {'DOWN', Ref, _, _, Reason} -> {down, Reason}
    after 5000 -> busy
    end.

pid(Name) -> ets:lookup_element(gateway_victim, Name, 2).

%% What the commander does of its own for an attack that lies in the answer.
ask("a call answered twice", Worker) -> old_call(Worker, twice);
ask("an answer after the caller gave up", Worker) ->
    do(pid(plain), fun() ->
        Ref = monitor(process, {attacker, Worker}),
        {attacker, Worker} ! {'$gen_call', {self(), Ref}, keep},
        gen_server:call({attacker, Worker}, done),
        demonitor(Ref, [flush])
    end);
ask("an answer with another tag", Worker) -> old_call(Worker, other_tag);
ask("an answer to somebody else", Worker) -> old_call(Worker, elsewhere);
ask("a fun in an answer", Worker) -> result(catch erpc:call(Worker, gateway_attacks, a_fun, []));
ask("a fun of a module in an answer", Worker) -> result(catch erpc:call(Worker, gateway_attacks, an_export, []));
ask("a third node's pid in an answer, which is written to", Worker) ->
    case catch erpc:call(Worker, gateway_attacks, a_stranger, [pid(third)]) of
        Pid when is_pid(Pid) -> Pid ! hello;
        Other -> result(Other)
    end;
ask("a term of depth 100,000 in an answer", Worker) ->
    case catch erpc:call(Worker, gateway_attacks, deep, []) of
        [_] -> note(deep);
        Other -> result(Other)
    end;
ask("an integer of 1 MiB in an answer", Worker) ->
    case catch erpc:call(Worker, gateway_attacks, huge, []) of
        N when is_integer(N) -> note(huge);
        Other -> result(Other)
    end;
ask("3,000 atoms in an answer", Worker) -> catch erpc:call(Worker, gateway_attacks, atoms, []);
ask("the reason of a process that was monitored", Worker) ->
    Doomed = spawn(fun() -> receive go -> exit({secret, <<"hunter2">>}) end end),
    ok = gen_server:call({attacker, Worker}, {watch, Doomed}),
    Doomed ! go,
    ok;
ask(_, _) -> ok.

result(Result) -> note({result, Result}), ok.

%% A call without an alias, as nodes before OTP 24 make it: the runtime lets any number of answers through.
old_call(Worker, Request) ->
    do(pid(plain), fun() ->
        Ref = monitor(process, {attacker, Worker}),
        {attacker, Worker} ! {'$gen_call', {self(), Ref}, Request},
        receive {Ref, first} -> ok; {'DOWN', Ref, _, _, R} -> R after 300 -> nothing end
    end).

%% True when the attack has done what it is for. Marker files are looked for elsewhere.
effect("kill of a process that was shown") -> not is_process_alive(pid(plain));
effect("a link, and its end") -> not is_process_alive(pid(plain));
effect("kill of the group leader") -> whereis(user) =:= undefined;
effect("its group leader replaced") ->
    case process_info(pid(plain), group_leader) of {_, Leader} -> node(Leader) =/= node(); _ -> false end;
effect("suspend of a server") ->
    {status, _, _, [_, State | _]} = sys:get_status(pid(server)),
    State =:= suspended;
effect("a name registered with global") -> global:whereis_name(<<"stolen">>) =/= undefined;
effect("a group joined with pg") -> pg:get_members(pg, <<"stolen">>) =/= [];
effect("a cookie set with auth") -> erlang:get_cookie(pid(third)) =/= erlang:get_cookie();
effect("an environment set with application_controller") -> application:get_env(kernel, stolen) =/= undefined;
effect("a level set with logger") -> maps:get(level, logger:get_primary_config()) =:= none;
effect("a path added with code_server") -> lists:any(fun(P) -> string:find(P, "stolen") =/= nomatch end, code:get_path());
effect("options of a group leader") -> proplists:get_value(binary, io:getopts(user)) =:= true;
effect("a third node connected with net_kernel") -> lists:member(pid(third), nodes(connected));
effect("a third node's pid in an answer, which is written to") -> lists:member(pid(third), nodes(connected));
effect("an answer address at a third node") -> lists:member(pid(third), nodes(connected));
effect("a third node dropped with net_kernel") -> not lists:member(pid(third), nodes(connected));
effect("stop with init") -> init:get_status() =/= {started, started};
effect("junk to application_controller") -> whereis(application_controller) =:= undefined;
effect("SIGTERM with erl_signal_server") -> init:get_status() =/= {started, started};
effect("code loaded by rpc") -> code:is_loaded('gateway_stolen') =/= false;
effect("2,000 names") -> atoms() >= 2000;
effect("2,000 atoms to a process that was shown") -> atoms() >= 2000;
effect("3,000 atoms in an answer") -> atoms() >= 3000;
effect("a fun in an answer") -> lists:any(fun({_, {result, F}}) -> is_function(F); (_) -> false end, heard());
effect("a fun of a module in an answer") -> effect("a fun in an answer");
effect("an answer to somebody else") -> gen_server:call(pid(server), received) =/= [];
effect("a term of depth 100,000 in an answer") -> lists:member({heard, deep}, heard());
effect("an integer of 1 MiB in an answer") -> lists:member({heard, huge}, heard());
effect(_) -> lists:any(fun({_, {result, _}}) -> false; (_) -> true end, heard()).

heard() -> ets:lookup(gateway_heard, heard).

atoms() -> erlang:system_info(atom_count) - ets:lookup_element(gateway_victim, atoms, 2).

%% Everything that the worker sent before has come and was worked off; where the session has ended there is another.
settle(Worker) ->
    interop:wait(fun() -> Worker =:= (catch erpc:call(Worker, erlang, node, [], 2000)) end),
    idle(erlang:monotonic_time(millisecond) + ?SETTLE_MS).

idle(Until) ->
    Busy = [P || P <- processes(), P =/= self(), {message_queue_len, N} <- [process_info(P, message_queue_len)], N > 0],
    case Busy =:= [] orelse erlang:monotonic_time(millisecond) > Until of
        true -> ok;
        false -> timer:sleep(5), idle(Until)
    end.

%% What an attack must leave as it was, and what it may leave a little larger: memory and atoms. The processes that carry
%% connections come and go with them.
snapshot() ->
    Kept = [P || P <- processes(), P =/= self(), not is_carrier(P)],
    [garbage_collect(P) || P <- Kept],
    garbage_collect(),
    Keys = [registered_name, group_leader, links, monitored_by, trap_exit, priority, message_queue_len, status],
    Rows = [{P, [row(I) || I <- Info]} || P <- lists:sort(Kept), Info <- [process_info(P, Keys)], Info =/= undefined],
    State = {
        Rows, lists:sort(registered()), lists:sort(nodes(connected)), erlang:get_cookie(), init:get_status(),
        code:get_path(), logger:get_config(), global:registered_names(), pg:which_groups(), application:get_all_env(kernel),
        io:getopts(user), supervisor:which_children(kernel_safe_sup), strange_modules(),
        lists:sort([{P, erlang:port_info(P, name)} || P <- erlang:ports(), not is_connection(P)])
    },
    {erlang:system_info(atom_count), erlang:memory(total), State}.

%% Those that came from nowhere: what belongs to OTP is loaded when it is needed first.
strange_modules() ->
    lists:sort([M || {M, File} <- code:all_loaded(), is_list(File), not lists:prefix(code:root_dir(), File)]).

row({links, L}) -> {links, lists:sort([P || P <- L, is_kept(P)])};
row({monitored_by, L}) -> {monitored_by, lists:sort([P || P <- L, is_pid(P), node(P) =:= node(), P =/= self()])};
%% A process that was just woken up to answer is not another process.
row({status, S}) -> {status, case S of suspended -> suspended; _ -> on end};
row(Other) -> Other.

is_carrier(P) when node(P) =/= node() -> true;
is_carrier(P) ->
    case process_info(P, [current_function, dictionary]) of
        [{_, {dist_util, con_loop, _}}, _] -> true;
        [_, {_, D}] -> lists:keyfind('$initial_call', 1, D) =:= {'$initial_call', {inet_tcp_dist, do_setup, 6}};
        undefined -> true
    end.

is_kept(P) when is_port(P) -> not is_connection(P);
is_kept(P) -> not is_carrier(P).

is_connection(P) -> erlang:port_info(P, name) =:= {name, "tcp_inet"}.
