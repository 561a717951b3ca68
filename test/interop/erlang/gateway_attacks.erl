%% The worker of the gateway's attack tests: a real node that turned hostile. Each attack has the name and the id of the threat
%% model that the test gives it, knows the commander's name and what that has shown in ordinary use, and makes the file Marker
%% at the commander where it can make it run something. An attack that learns what it should not gives `owned`.
-module(gateway_attacks).
-behaviour(gen_server).
-export([start/0, run/4, at_work/0, a_fun/0, an_export/0, a_stranger/1, deep/0, huge/0, atoms/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(WAIT_MS, 300).

start() -> {ok, _} = gen_server:start({local, attacker}, ?MODULE, [], []), ok.

shown(Name) -> persistent_term:get({?MODULE, Name}).
show(Name, Value) -> persistent_term:put({?MODULE, Name}, Value).

%% Run at the worker by the commander: its group leader is the commander's.
at_work() -> show(leader, group_leader()), ok.

%% What a fun of the attacker's is elsewhere: interpreted, so that no module of the attacker is needed.
fun_of(Text) ->
    {ok, Tokens, _} = erl_scan:string(lists:flatten(Text)),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Fun, _} = erl_eval:exprs(Expressions, []),
    Fun.

writing(Marker) -> fun_of(io_lib:format("fun(X) -> file:write_file(~p, <<>>), X end.", [Marker])).

touch(Marker) -> "touch " ++ Marker.

run(Name, Commander, Marker, Third) ->
    try attack(Name, Commander, Marker, Third) catch _:Reason -> {failed, Reason} end.

%% Code

attack("rpc:call", C, M, _) -> rpc:call(C, os, cmd, [touch(M)], ?WAIT_MS);
attack("rpc:cast", C, M, _) -> rpc:cast(C, os, cmd, [touch(M)]);
attack("rpc:block_call", C, M, _) -> rpc:block_call(C, os, cmd, [touch(M)], ?WAIT_MS);
attack("rpc:multicall", C, M, _) -> rpc:multicall([C], os, cmd, [touch(M)], ?WAIT_MS);
attack("erpc:call", C, M, _) -> erpc:call(C, os, cmd, [touch(M)], ?WAIT_MS);
attack("erpc:cast", C, M, _) -> erpc:cast(C, os, cmd, [touch(M)]);
attack("erpc:send_request with a fun", C, M, _) ->
    Fun = writing(M),
    erpc:receive_response(erpc:send_request(C, erlang, apply, [Fun, [x]]), ?WAIT_MS);
attack("spawn", C, M, _) -> spawn(C, os, cmd, [touch(M)]);
attack("spawn of a fun", C, M, _) -> spawn(C, erlang, apply, [writing(M), [x]]);
attack("spawn_link", C, M, _) -> process_flag(trap_exit, true), spawn_link(C, os, cmd, [touch(M)]);
attack("spawn_monitor", C, M, _) -> spawn_monitor(C, os, cmd, [touch(M)]);
attack("spawn_request with a foreign group leader", C, M, _) ->
    group_leader(shown(leader), self()),
    spawn_request(C, os, cmd, [touch(M)], [monitor, link]);
attack("$gen_cast to rex", C, M, _) ->
    {rex, C} ! {'$gen_cast', {cast, os, cmd, [touch(M)], self()}};
attack("$gen_call to rex, without a monitor", C, M, _) ->
    {rex, C} ! {'$gen_call', {self(), make_ref()}, {call, os, cmd, [touch(M)], self()}};
attack("the old call of rex", C, M, _) -> {rex, C} ! {self(), {call, os, cmd, [touch(M)], self()}};
attack("a relay through rex", C, _, _) -> {rex, C} ! {self(), {send, gateway_target, sneaked}};
attack("spawn by net_kernel", C, M, _) ->
    {net_kernel, C} ! {'$gen_call', {self(), make_ref()}, {spawn, os, cmd, [touch(M)], self()}};
attack("a child started with a supervisor", C, M, _) ->
    supervisor:start_child({kernel_safe_sup, C}, #{id => x, start => {os, cmd, [touch(M)]}});
attack("replace_state of a server", _, M, _) -> sys:replace_state(shown(server), writing(M), ?WAIT_MS);
attack("replace_state of a kernel process", C, M, _) -> sys:replace_state({kernel_refc, C}, writing(M), ?WAIT_MS);
attack("get_state of a server", _, _, _) -> sys:get_state(shown(server), ?WAIT_MS), owned;
attack("suspend of a server", _, _, _) -> sys:suspend(shown(server), ?WAIT_MS);
attack("a log event with a fun", C, M, _) ->
    Meta = #{report_cb => fun_of(io_lib:format("fun(_) -> file:write_file(~p, <<>>), {\"\", []} end.", [M])),
             pid => self(), gl => self(), time => 0},
    {logger_proxy, C} ! {log, error, #{}, Meta};
attack("code loaded by rpc", C, _, _) ->
    {ok, Module, Code} = compile:forms([{attribute, 1, module, gateway_stolen}], []),
    rpc:call(C, code, load_binary, [Module, "x", Code], ?WAIT_MS);

%% Group leaders

attack("put_chars M:F to a group leader", _, M, _) -> ask_leader({put_chars, unicode, file, write_file, [M, <<>>]});
attack("put_chars M:F in requests", _, M, _) ->
    ask_leader({requests, [{put_chars, unicode, "x"}, {put_chars, unicode, file, write_file, [M, <<>>]}]});
attack("put_chars M:F in requests in requests", _, M, _) ->
    ask_leader({requests, [{requests, [{put_chars, unicode, file, write_file, [M, <<>>]}]}]});
attack("put_chars M:F without an encoding", _, M, _) -> ask_leader({put_chars, file, write_file, [M, <<>>]});
attack("get_until M:F to a group leader", _, M, _) ->
    ask_leader({get_until, unicode, "PROMPT-OF-WORKER", file, write_file, [M]}),
    ask_leader({get_until, "PROMPT-OF-WORKER", file, write_file, [M]});
attack("put_chars M:F to user", C, M, _) ->
    {user, C} ! {io_request, self(), x, {put_chars, unicode, file, write_file, [M, <<>>]}};
attack("options of a group leader", _, _, _) -> ask_leader({setopts, [binary]});
attack("a line to user", C, _, _) -> {user, C} ! {io_request, self(), x, {put_chars, unicode, "LINE-OF-WORKER\n"}};
attack("an escape sequence to a group leader", _, _, _) ->
    io:put_chars(shown(leader), "\e]52;c;RVNDQVBF\a"),
    io:format(shown(leader), "~s~ts~c~p~n", ["\e]52;s", <<"\e]52;t">>, 27, '\e]52;p']);
attack("a width from the arguments", _, _, _) ->
    ask_leader({put_chars, unicode, io_lib, format, ["~*c", [3000000, $x]]});
attack("indentation of pretty printing", _, _, _) ->
    Lines = lists:duplicate(3000, 7),
    ask_leader({put_chars, unicode, io_lib, format, ["~1.999p", [Lines]]});
attack("depth of pretty printing", _, _, _) ->
    Deep = lists:foldl(fun(_, T) -> [T] end, lists:duplicate(6000, {a, b}), lists:seq(1, 480)),
    ask_leader({put_chars, unicode, io_lib, format, ["~p", [Deep]]});

%% Well-known processes

attack("a third node connected with net_kernel", C, _, Third) ->
    {net_kernel, C} ! {'$gen_call', {self(), make_ref()}, {connect, normal, Third}};
attack("a third node dropped with net_kernel", C, _, Third) ->
    {net_kernel, C} ! {'$gen_call', {self(), make_ref()}, {disconnect, Third}};
attack("an answer address at a third node", C, _, Third) ->
    {kernel_sup, C} ! {'$gen_call', {stranger(Third), make_ref()}, which_children};
attack("the cookie from auth", C, _, _) -> is_atom(gen_server:call({auth, C}, get_our_cookie, ?WAIT_MS)) andalso owned;
attack("a cookie set with auth", C, _, Third) -> gen_server:call({auth, C}, {set_cookie, Third, stolen}, ?WAIT_MS);
attack("an environment set with application_controller", C, _, _) ->
    gen_server:call({application_controller, C}, {set_env, kernel, stolen, yes, []}, ?WAIT_MS);
attack("a level set with logger", C, _, _) ->
    gen_server:call({logger, C}, {change_config, set, primary, level, none}, ?WAIT_MS);
attack("a file made with file_server_2", C, M, _) -> gen_server:call({file_server_2, C}, {make_dir, M}, ?WAIT_MS);
attack("a file read with file_server_2", C, _, _) ->
    case gen_server:call({file_server_2, C}, {read_file, "/etc/passwd"}, ?WAIT_MS) of {ok, _} -> owned end;
attack("a path added with code_server", C, M, _) ->
    Path = M ++ "-stolen",
    ok = file:make_dir(Path),
    {code_server, C} ! {code_call, self(), {add_path, last, Path}};
attack("purge with erts_code_purger", C, _, _) ->
    Ref = make_ref(),
    {erts_code_purger, C} ! {purge, gateway_none, self(), Ref},
    receive {reply, purge, _, Ref} -> owned after ?WAIT_MS -> nothing end;
attack("children listed with kernel_sup", C, _, _) -> [_ | _] = supervisor:which_children({kernel_sup, C}), owned;
attack("a name registered with global", C, _, _) ->
    gen_server:call({global_name_server, C}, {register, <<"stolen">>, whereis(attacker), fun global:random_exit_name/3},
        ?WAIT_MS);
attack("a group joined with pg", C, _, _) ->
    {pg, C} ! {discover, whereis(attacker)},
    gen_server:cast({pg, C}, {sync, whereis(attacker), [{<<"stolen">>, [whereis(attacker)]}]});
attack("names told apart by monitors", C, _, _) ->
    [A, B] = [end_of(monitor(process, {N, C})) || N <- [rex, gateway_nobody]],
    A =/= B andalso owned;

%% Signals and messages

attack("kill of a process that was shown", _, _, _) -> exit(shown(plain), kill);
attack("a link, and its end", _, _, _) ->
    {_, Ref} = spawn_monitor(fun() -> process_flag(trap_exit, true), link(shown(plain)), exit(boom) end),
    end_of(Ref);
attack("kill of the group leader", _, _, _) -> exit(shown(leader), kill);
attack("its group leader replaced", _, _, _) -> group_leader(self(), shown(plain));
attack("a message to a process that was shown", _, _, _) -> shown(plain) ! {sneaked, self()};
attack("what a runtime acts upon, to a process that was shown", _, _, _) ->
    P = shown(plain),
    [P ! X || X <- [{'$gen_cast', x}, {'$gen_call', {self(), make_ref()}, x}, {'EXIT', P, kill}, {system, {self(), x}, x},
                    {'DOWN', make_ref(), process, self(), x}, {nodedown, node()}, {io_request, self(), x, getopts},
                    {features_reply, node(), []}, {make_ref(), x}, {self(), x}, [[alias | make_ref()] | x]]];
attack("a message to a registered name", C, _, _) -> {gateway_target, C} ! sneaked;
attack("a message to an alias that was shown", _, _, _) -> shown(alias) ! sneaked;
attack("2,000 names", C, _, _) -> [{atom("n", N), C} ! x || N <- lists:seq(1, 2000)];
attack("2,000 atoms to a process that was shown", _, _, _) -> shown(plain) ! [atom("a", N) || N <- lists:seq(1, 2000)];
attack("an answer after the caller gave up", _, _, _) -> gen_server:reply(shown(kept), late);
attack("the reason of a process that was monitored", _, _, _) ->
    interop:wait(fun() -> gen_server:call(attacker, seen) =/= watching end),
    case gen_server:call(attacker, seen) of {secret, _} -> owned; Other -> Other end;

%% What ends a node

attack("stop with init", C, _, _) -> {init, C} ! {stop, stop};
attack("junk to application_controller", C, _, _) -> gen_server:call({application_controller, C}, junk, ?WAIT_MS);
attack("SIGTERM with erl_signal_server", C, _, _) -> gen_event:notify({erl_signal_server, C}, sigterm);
attack("halt by rpc", C, _, _) -> rpc:cast(C, erlang, halt, [0]);
attack("kill of all pids that one can think of", C, _, _) ->
    Bytes = term_to_binary(shown(server)),
    Size = byte_size(Bytes) - 12,
    <<Head:Size/binary, _:64, Creation:32>> = Bytes,
    true = node(shown(server)) =:= C,
    [exit(binary_to_term(<<Head/binary, N:32, 0:32, Creation:32>>), kill) || N <- lists:seq(0, 200)];

attack(_, _, _, _) -> ok.

atom(Head, N) -> list_to_atom(lists:concat([Head, N, "_", erlang:system_time()])).

end_of(Ref) -> receive {'DOWN', Ref, _, _, Reason} -> Reason after ?WAIT_MS -> alive end.

ask_leader(Request) ->
    Ref = make_ref(),
    shown(leader) ! {io_request, self(), Ref, Request},
    receive {io_reply, Ref, Answer} -> Answer after ?WAIT_MS -> nothing end.

%% A pid of another node, which may or may not have such a process.
stranger(Node) ->
    Name = atom_to_binary(Node),
    binary_to_term(<<131, 88, 119, (byte_size(Name)), Name/binary, 1:32, 0:32, 0:32>>).

%% Called by the commander, and answered badly

a_fun() -> fun_of("fun(X) -> X end.").
an_export() -> fun os:cmd/1.
a_stranger(Third) -> stranger(Third).
deep() -> lists:foldl(fun(_, T) -> [T] end, [], lists:seq(1, 100000)).
huge() -> 1 bsl (8 * 1024 * 1024).
atoms() -> [atom("r", N) || N <- lists:seq(1, 3000)].

init(_) -> {ok, undefined}.

handle_call({shown, Plain, Server, Alias}, _From, S) ->
    show(plain, Plain), show(server, Server), show(alias, Alias),
    {reply, ok, S};
handle_call(twice, From, S) -> gen_server:reply(From, first), {reply, second, S};
handle_call(keep, From, S) -> show(kept, From), {noreply, S};
handle_call(other_tag, {Pid, Ref}, S) -> Pid ! {{Ref, x}, first}, Pid ! {[alias | Ref], first}, {noreply, S};
handle_call(elsewhere, {_, Ref}, S) -> shown(server) ! {Ref, first}, shown(plain) ! {Ref, first}, {noreply, S};
handle_call({watch, Pid}, _From, _) -> monitor(process, Pid), {reply, ok, watching};
handle_call(seen, _From, S) -> {reply, S, S};
handle_call(done, _From, S) -> {reply, ok, S}.

handle_cast(_, S) -> {noreply, S}.

handle_info({'DOWN', _, _, _, Reason}, watching) -> {noreply, Reason};
handle_info(_, S) -> {noreply, S}.
