%% Operations that one node does on another, each with an outcome that does not depend on the run: the same through a gateway
%% as between two nodes that are connected directly. `run/2` is asked on the node that commands, `setup/0` was run on the other.
-module(gateway_ops).
-export([setup/0, names/0, run/2, normal/2, with_output/1, with_input/2, printed/1]).
-export([keeper/1, start_worker/1, child/1, quick/0, stopped/1, parent_told/2, ack_start/1, answerer/0, log/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, callback_mode/0, handle_event/2, handle_event/4, handle_call/2]).

-define(FAR_MS, 8000).
-define(QUIET_MS, 60).

%% The far side

setup() ->
    Self = self(),
    Keeper = spawn(?MODULE, keeper, [Self]),
    receive {Keeper, ready} -> ok end.

keeper(Starter) ->
    {ok, _} = gen_server:start_link({local, ops_srv}, ?MODULE, server, []),
    {ok, _} = gen_statem:start_link({local, ops_fsm}, ?MODULE, machine, []),
    {ok, _} = gen_event:start_link({local, ops_event}),
    {ok, _} = supervisor:start_link({local, ops_sup}, ?MODULE, supervisor),
    register(ops_answerer, spawn_link(?MODULE, answerer, [])),
    Starter ! {self(), ready},
    receive stop -> ok end.

init(server) -> {ok, []};
init(machine) -> {ok, off, 0};
init(handler) -> {ok, []};
init(crash) -> {stop, crashed_at_start};
init(supervisor) ->
    {ok, {#{intensity => 100}, [#{id => one, start => {?MODULE, start_worker, [one]}}]}}.

start_worker(_) -> {ok, spawn_link(interop, sleeper, [])}.

handle_call({add, A, B}, _From, State) -> {reply, A + B, State};
handle_call({echo, Term}, _From, State) -> {reply, Term, State};
handle_call(self, _From, State) -> {reply, self(), State};
handle_call({size, Binary}, _From, State) -> {reply, {byte_size(Binary), erlang:md5(Binary)}, State};
handle_call({make, Bytes}, _From, State) -> {reply, binary:copy(<<7>>, Bytes), State};
handle_call({run, Fun}, _From, State) -> {reply, Fun(), State};
handle_call({sleep, Ms}, _From, State) -> timer:sleep(Ms), {reply, slept, State};
handle_call({exit, Reason}, _From, _State) -> exit(Reason);
handle_call(never, _From, State) -> {noreply, State};
handle_call({other, Ms}, From, State) ->
    spawn(fun() -> timer:sleep(Ms), gen_server:reply(From, from_another) end),
    {noreply, State};
handle_call({stop, Reason}, _From, State) -> {stop, Reason, stopping, State};
handle_call(take, _From, State) -> {reply, lists:reverse(State), []}.

handle_cast(Message, State) when is_list(State) -> {noreply, [{cast, Message} | State]}.
handle_info(Message, State) when is_list(State) -> {noreply, [{info, Message} | State]};
handle_info(_, State) -> {ok, State}.

callback_mode() -> handle_event_function.
handle_event({call, From}, flip, off, N) -> {next_state, on, N + 1, [{reply, From, {on, N + 1}}]};
handle_event({call, From}, flip, on, N) -> {next_state, off, N, [{reply, From, {off, N}}]};
handle_event({call, _}, never, _, _) -> keep_state_and_data;
handle_event({call, From}, later, _, _) -> {keep_state_and_data, [{state_timeout, 20, {answer, From}}]};
handle_event(state_timeout, {answer, From}, _, _) -> {keep_state_and_data, [{reply, From, timed}]};
handle_event(cast, _, _, _) -> keep_state_and_data.

handle_event(Event, State) -> {ok, [Event | State]}.
handle_call(take, State) -> {ok, lists:reverse(State), []};
handle_call(stop, State) -> {remove_handler, removed, State}.

child(Parent) -> Parent ! {self(), hello}, interop:sleeper().
quick() -> ok.
stopped(Reason) -> receive stop -> exit(Reason) end.
parent_told(Ref, Parent) -> Parent ! {Ref, done}, ok.
ack_start(Answer) -> proc_lib:init_ack(Answer), interop:sleeper().

%% Answers as `rpc:multi_server_call` and `rpc:server_call` want it.
answerer() ->
    receive {From, Message} -> From ! {ops_answerer, node(), Message}, answerer() end.

%% A handler of logger.
log(#{level := Level, msg := {Format, _}}, #{config := To}) when is_list(Format) -> To ! {logged, Level, text};
log(#{level := Level}, #{config := To}) -> To ! {logged, Level, report}.

%% Running one

names() -> [Name || {Name, _} <- operations()].

run(Name, Far) ->
    {Name, Operation} = lists:keyfind(Name, 1, operations() ++ denials()),
    {Pid, Monitor} = spawn_monitor(fun() -> exit({outcome, Operation(Far)}) end),
    receive
        {'DOWN', Monitor, process, Pid, {outcome, Outcome}} -> normal(Outcome, Far);
        {'DOWN', Monitor, process, Pid, Reason} -> {ended, normal(Reason, Far)}
    after 30000 ->
        {current_stacktrace, Stack} = process_info(Pid, current_stacktrace),
        exit(Pid, kill),
        {hangs, normal(Stack, Far)}
    end.

%% Without what differs from run to run: identifiers, and how the far node is called.
normal(Pid, Far) when is_pid(Pid) -> {pid, place(node(Pid), Far)};
normal(Ref, Far) when is_reference(Ref) -> {ref, place(node(Ref), Far)};
normal(Port, Far) when is_port(Port) -> {port, place(node(Port), Far)};
normal(Fun, _) when is_function(Fun) -> 'fun';
normal(Atom, Far) when is_atom(Atom) -> place(Atom, Far);
normal([Head | Tail], Far) -> [normal(Head, Far) | normal(Tail, Far)];
normal(Tuple, Far) when is_tuple(Tuple) -> list_to_tuple(normal(tuple_to_list(Tuple), Far));
normal(Map, Far) when is_map(Map) -> maps:from_list(normal(maps:to_list(Map), Far));
normal(Term, _) -> Term.

place(Far, Far) -> far;
place(Node, _) when Node =:= node() -> here;
place(Atom, _) -> Atom.

%% What is printed to the group leader while the fun runs.
with_output(Fun) -> with_input([], Fun).

with_input(Lines, Fun) ->
    Collector = spawn_link(fun() -> collect(Lines, []) end),
    Before = group_leader(),
    group_leader(Collector, self()),
    Result = Fun(Collector),
    group_leader(Before, self()),
    Printed = printed(Collector),
    unlink(Collector),
    exit(Collector, kill),
    {Result, Printed}.

printed(Collector) ->
    Ref = make_ref(),
    Collector ! {printed, self(), Ref},
    receive {Ref, Text} -> Text end.

collect(Lines, Printed) ->
    receive
        {printed, To, Ref} ->
            To ! {Ref, unicode:characters_to_list(lists:reverse(Printed))},
            collect(Lines, Printed);
        {io_request, From, As, Request} ->
            case answer(Request, Lines) of
                wait -> collect(Lines, Printed);
                {Reply, Chars, Rest} ->
                    From ! {io_reply, As, Reply},
                    collect(Rest, [Chars | Printed])
            end
    end.

answer({put_chars, _, Chars}, Lines) -> {ok, Chars, Lines};
answer({put_chars, Chars}, Lines) -> {ok, Chars, Lines};
answer({put_chars, _, M, F, A}, Lines) ->
    try {ok, apply(M, F, A), Lines} catch _:_ -> {{error, F}, [], Lines} end;
answer({get_geometry, columns}, Lines) -> {80, [], Lines};
answer({get_geometry, rows}, Lines) -> {24, [], Lines};
answer(getopts, Lines) -> {[{encoding, unicode}], [], Lines};
answer({setopts, _}, Lines) -> {ok, [], Lines};
answer({requests, Requests}, Lines) ->
    lists:foldl(fun(R, {_, Out, L}) -> {Reply, Chars, Rest} = answer(R, L), {Reply, [Out, Chars], Rest} end,
                {ok, [], Lines}, Requests);
answer(_, []) -> wait;
answer({get_line, _, Prompt}, [Line | Rest]) -> {Line, prompt(Prompt), Rest};
answer({get_chars, _, Prompt, N}, [Line | Rest]) -> {lists:sublist(Line, N), prompt(Prompt), Rest};
answer({get_until, _, Prompt, M, F, X}, [Line | Rest]) ->
    {done, Result, _} = apply(M, F, [[], Line | X]),
    {Result, prompt(Prompt), Rest};
answer(_, Lines) -> {{error, request}, [], Lines}.

prompt({format, Format, Args}) -> io_lib:format(Format, Args);
prompt(Prompt) when is_atom(Prompt) -> atom_to_list(Prompt);
prompt(Prompt) -> Prompt.

%% Helpers of the operations

next() -> receive M -> M after ?FAR_MS -> nothing end.
quiet() -> receive M -> {not_quiet, M} after ?QUIET_MS -> quiet end.
down(Ref) -> receive {'DOWN', Ref, Kind, What, Reason} -> {Kind, What, Reason} after ?FAR_MS -> nothing end.
trap() -> process_flag(trap_exit, true).
caught(Fun) -> try {value, Fun()} catch Class:Reason -> {Class, Reason} end.
sleeper(Far) -> spawn(Far, interop, sleeper, []).
box(Far) -> erpc:call(Far, interop, box, []).
trapping_box(Far) -> erpc:call(Far, interop, box, [[trap_exit]]).
taken(Far) -> gen_server:call({ops_srv, Far}, take).
far_server(Far) -> {ok, Pid} = rpc:call(Far, gen_server, start, [?MODULE, server, []]), Pid.
is_alive(Pid) -> rpc:call(node(Pid), erlang, is_process_alive, [Pid]).
is_gone(Pid) -> interop:wait(fun() -> not is_alive(Pid) end).
big() -> binary:copy(<<"0123456789abcdef">>, 1250000).

operations() ->
    reach() ++ calls() ++ machines() ++ rpcs() ++ erpcs() ++ spawns() ++ monitors() ++ links() ++ exits() ++ messages() ++
        output() ++ systems() ++ last().

reach() -> [
    {ping, fun net_adm:ping/1},
    {ping_again, fun(Far) -> [net_adm:ping(Far) || _ <- [1, 2, 3]] end},
    {connect_node, fun net_kernel:connect_node/1},
    {nodes_that_are_connected, fun(Far) -> lists:member(Far, nodes(connected)) end},
    {net_kernel_from_far, fun(Far) -> rpc:call(Far, net_kernel, get_net_ticktime, []) end},
    {global_of_far, fun(Far) -> rpc:call(Far, global, whereis_name, [nobody]) end}
].

calls() -> [
    {call_by_name, fun(Far) -> gen_server:call({ops_srv, Far}, {add, 1, 2}) end},
    {call_by_pid, fun(Far) -> gen_server:call(gen_server:call({ops_srv, Far}, self), {add, 3, 4}) end},
    {call_with_all_terms, fun(Far) ->
        Terms = [T || T <- interop:terms(), may_cross(T)],
        {length(Terms) > 700, [Some || Some <- in_parts(Terms, 25), gen_server:call({ops_srv, Far}, {echo, Some}) =/= Some]}
    end},
    {call_with_fun, fun(Far) -> X = 20, gen_server:call({ops_srv, Far}, {run, fun() -> {X + 1, node()} end}) end},
    {call_that_times_out, fun(Far) ->
        Result = caught(fun() -> gen_server:call({ops_srv, Far}, {sleep, 80}, 10) end),
        {Result, gen_server:call({ops_srv, Far}, {echo, after_it}), quiet()}
    end},
    {call_that_is_never_answered, fun(Far) -> caught(fun() -> gen_server:call({ops_srv, Far}, never, 20) end) end},
    {call_of_no_name, fun(Far) -> caught(fun() -> gen_server:call({ops_nobody, Far}, x) end) end},
    {call_of_dead_pid, fun(Far) ->
        Pid = far_server(Far), ok = gen_server:stop(Pid), caught(fun() -> gen_server:call(Pid, x) end)
    end},
    {call_that_crashes_the_server, fun(Far) ->
        Pid = far_server(Far), caught(fun() -> gen_server:call(Pid, {exit, {boom, [1, <<"two">>]}}) end)
    end},
    {call_that_raises_in_the_server, fun(Far) ->
        Pid = far_server(Far), caught(fun() -> gen_server:call(Pid, {add, a, 1}) end)
    end},
    {call_while_the_server_is_killed, fun(Far) ->
        Pid = far_server(Far),
        spawn(fun() -> timer:sleep(20), exit(Pid, kill) end),
        caught(fun() -> gen_server:call(Pid, never) end)
    end},
    {call_that_stops_the_server, fun(Far) ->
        Pid = far_server(Far), Ref = monitor(process, Pid), {gen_server:call(Pid, {stop, normal}), down(Ref)}
    end},
    {call_answered_by_another_process, fun(Far) -> gen_server:call({ops_srv, Far}, {other, 10}) end},
    {call_answered_late_by_another, fun(Far) ->
        {caught(fun() -> gen_server:call({ops_srv, Far}, {other, 60}, 10) end), timer:sleep(70), quiet()}
    end},
    {calls_of_fifty_at_once, fun(Far) ->
        Self = self(),
        [spawn_link(fun() -> Self ! {N, gen_server:call({ops_srv, Far}, {add, N, N})} end) || N <- lists:seq(1, 50)],
        lists:sum([receive {N, Sum} -> Sum - N end || N <- lists:seq(1, 50)])
    end},
    {call_with_20_mb, fun(Far) -> gen_server:call({ops_srv, Far}, {size, big()}, 60000) end},
    {call_that_gives_20_mb, fun(Far) -> erlang:md5(gen_server:call({ops_srv, Far}, {make, 20000000}, 60000)) end},
    {cast_by_name, fun(Far) -> {gen_server:cast({ops_srv, Far}, {one, 1}), taken(Far)} end},
    {cast_by_pid, fun(Far) ->
        Pid = gen_server:call({ops_srv, Far}, self), {gen_server:cast(Pid, two), taken(Far)}
    end},
    {cast_to_no_name, fun(Far) -> gen_server:cast({ops_nobody, Far}, x) end},
    {abcast, fun(Far) -> {gen_server:abcast([Far], ops_srv, three), taken(Far)} end},
    {multi_call, fun(Far) -> gen_server:multi_call([Far], ops_srv, {add, 5, 6}) end},
    {multi_call_with_timeout, fun(Far) -> gen_server:multi_call([Far], ops_srv, {add, 5, 6}, 2000) end},
    {multi_call_that_times_out, fun(Far) -> {gen_server:multi_call([Far], ops_srv, never, 20), quiet()} end},
    {multi_call_of_no_name, fun(Far) -> gen_server:multi_call([Far], ops_nobody, x, 2000) end},
    {multi_call_of_both, fun(Far) -> {Good, Bad} = gen_server:multi_call([node(), Far], ops_srv, {add, 1, 1}, 2000),
        {lists:sort(Good), Bad -- [node()]} end},
    {send_request_and_receive, fun(Far) ->
        gen_server:receive_response(gen_server:send_request({ops_srv, Far}, {add, 7, 8}), 2000)
    end},
    {send_request_and_wait, fun(Far) ->
        Id = gen_server:send_request({ops_srv, Far}, {sleep, 30}),
        {gen_server:wait_response(Id, 1), gen_server:wait_response(Id, 2000)}
    end},
    {send_request_and_check, fun(Far) ->
        Id = gen_server:send_request({ops_srv, Far}, {add, 1, 1}),
        {gen_server:check_response(other, Id), gen_server:check_response(next(), Id)}
    end},
    {send_request_to_no_name, fun(Far) ->
        gen_server:receive_response(gen_server:send_request({ops_nobody, Far}, x), 2000)
    end},
    {send_request_given_up, fun(Far) ->
        Id = gen_server:send_request({ops_srv, Far}, {sleep, 40}),
        {gen_server:receive_response(Id, 5), timer:sleep(50), quiet()}
    end},
    {send_requests_as_a_collection, fun(Far) ->
        Ids = lists:foldl(fun(N, Acc) -> gen_server:send_request({ops_srv, Far}, {add, N, 0}, N, Acc) end,
                          gen_server:reqids_new(), [1, 2, 3]),
        collected(gen_server, Ids, [])
    end},
    {call_with_a_label_of_its_own, fun(Far) ->
        Box = box(Far),
        Call = spawn_monitor(fun() -> exit(gen:call(Box, my_label, request, 2000)) end),
        {my_label, From, request} = interop:take(Box),
        interop:do(Box, fun() -> gen:reply(From, labelled), ok end),
        down(element(2, Call))
    end},
    {stop_of_a_server, fun(Far) -> Pid = far_server(Far), {gen_server:stop(Pid), is_gone(Pid)} end},
    {stop_of_a_server_with_reason, fun(Far) ->
        Pid = far_server(Far), Ref = monitor(process, Pid), {gen_server:stop(Pid, {shutdown, asked}, 2000), down(Ref)}
    end},
    {stop_of_no_server, fun(Far) -> caught(fun() -> gen_server:stop({ops_nobody, Far}) end) end},
    {start_of_a_server_that_fails, fun(Far) -> rpc:call(Far, gen_server, start, [?MODULE, crash, []]) end}
].

%% Third identifiers and funs are what an answer may not hold.
may_cross(T) when is_function(T) -> false;
may_cross(T) when is_pid(T); is_reference(T); is_port(T) -> node(T) =:= node();
may_cross([H | T]) -> may_cross(H) andalso may_cross(T);
may_cross(T) when is_tuple(T) -> may_cross(tuple_to_list(T));
may_cross(T) when is_map(T) -> may_cross(maps:to_list(T));
may_cross(_) -> true.

in_parts(Terms, Size) when length(Terms) > Size ->
    {Some, Others} = lists:split(Size, Terms),
    [Some | in_parts(Others, Size)];
in_parts(Terms, _) -> [Terms].

collected(Module, Ids, Found) ->
    case Module:receive_response(Ids, 2000, true) of
        {Answer, Label, Left} -> collected(Module, Left, [{Label, Answer} | Found]);
        no_request -> lists:sort(Found);
        Other -> {Other, Found}
    end.

machines() -> [
    {statem_call, fun(Far) -> [element(1, gen_statem:call({ops_fsm, Far}, flip)) || _ <- [1, 2]] end},
    {statem_call_clean_timeout, fun(Far) -> caught(fun() -> gen_statem:call({ops_fsm, Far}, never, {clean_timeout, 20}) end) end},
    {statem_call_dirty_timeout, fun(Far) -> caught(fun() -> gen_statem:call({ops_fsm, Far}, never, {dirty_timeout, 20}) end) end},
    {statem_call_answered_later, fun(Far) -> gen_statem:call({ops_fsm, Far}, later) end},
    {statem_cast, fun(Far) -> gen_statem:cast({ops_fsm, Far}, whatever) end},
    {statem_send_request, fun(Far) -> gen_statem:receive_response(gen_statem:send_request({ops_fsm, Far}, later), 2000) end},
    {event_handler_added_called_removed, fun(Far) ->
        M = {ops_event, Far},
        [gen_event:add_handler(M, ?MODULE, handler), gen_event:which_handlers(M), gen_event:notify(M, one),
         gen_event:sync_notify(M, two), gen_event:call(M, ?MODULE, take), gen_event:call(M, ?MODULE, take, 2000),
         gen_event:call(M, nobody, x), gen_event:delete_handler(M, ?MODULE, why), gen_event:which_handlers(M)]
    end},
    {event_send_request, fun(Far) ->
        ok = gen_event:add_handler({ops_event, Far}, ?MODULE, handler),
        Reply = gen_event:receive_response(gen_event:send_request({ops_event, Far}, ?MODULE, take), 2000),
        {Reply, gen_event:call({ops_event, Far}, ?MODULE, stop)}
    end},
    {supervisor_children, fun(Far) -> supervisor:which_children({ops_sup, Far}) end},
    {supervisor_counts, fun(Far) -> supervisor:count_children({ops_sup, Far}) end},
    {supervisor_child_started_and_removed, fun(Far) ->
        S = {ops_sup, Far},
        {ok, Pid} = supervisor:start_child(S, #{id => two, start => {?MODULE, start_worker, [two]}}),
        [node(Pid), supervisor:terminate_child(S, two), supervisor:restart_child(S, two) =/= 0,
         supervisor:restart_child(S, two), supervisor:terminate_child(S, two), supervisor:delete_child(S, two),
         supervisor:get_childspec(S, one)]
    end},
    {sys_get_state, fun(Far) -> sys:get_state({ops_fsm, Far}) =/= [] end},
    {sys_get_status, fun(Far) -> element(1, sys:get_status({ops_srv, Far})) end},
    {sys_replace_state, fun(Far) ->
        {sys:replace_state({ops_srv, Far}, fun(S) -> [replaced | S] end), sys:get_state({ops_srv, Far}), taken(Far)}
    end},
    {sys_suspend_and_resume, fun(Far) ->
        {sys:suspend({ops_srv, Far}), caught(fun() -> gen_server:call({ops_srv, Far}, {add, 1, 1}, 20) end),
         sys:resume({ops_srv, Far}), gen_server:call({ops_srv, Far}, {add, 2, 2}), quiet()}
    end},
    {sys_statistics, fun(Far) ->
        {sys:statistics({ops_srv, Far}, true), element(1, sys:statistics({ops_srv, Far}, get)),
         sys:statistics({ops_srv, Far}, false)}
    end},
    {sys_log, fun(Far) ->
        S = {ops_srv, Far},
        {sys:log(S, true), gen_server:call(S, {add, 1, 1}), length(element(2, sys:log(S, get))) > 0, sys:no_debug(S)}
    end},
    {sys_install, fun(Far) ->
        S = {ops_srv, Far},
        {sys:install(S, {fun(F, _, _) -> F end, 0}), sys:remove(S, fun(F, _, _) -> F end)}
    end},
    {sys_terminate, fun(Far) ->
        Pid = far_server(Far), Ref = monitor(process, Pid), {sys:terminate(Pid, shutdown), down(Ref)}
    end},
    {sys_of_no_process, fun(Far) -> caught(fun() -> sys:get_state({ops_nobody, Far}, 500) end) end},
    {proc_lib_start, fun(Far) -> {ok, Pid} = rpc:call(Far, proc_lib, start, [?MODULE, ack_start, [{ok, self()}]]), Pid end},
    {proc_lib_stop, fun(Far) ->
        Pid = far_server(Far), Ref = monitor(process, Pid), {proc_lib:stop(Pid, shutdown, 2000), down(Ref)}
    end},
    {proc_lib_spawn, fun(Far) ->
        Pid = proc_lib:spawn(Far, interop, sleeper, []), Ref = monitor(process, Pid), Pid ! stop, down(Ref)
    end},
    {proc_lib_spawn_link, fun(Far) ->
        trap(), Pid = proc_lib:spawn_link(Far, interop, stop_with, [{shutdown, here}]), {Pid, next()}
    end}
].

rpcs() -> [
    {rpc_call, fun(Far) -> rpc:call(Far, erlang, node, []) end},
    {rpc_call_with_fun, fun(Far) -> rpc:call(Far, lists, map, [fun(X) -> X * 2 end, [1, 2, 3]]) end},
    {rpc_call_error, fun(Far) -> rpc:call(Far, interop, raise, [error, {bad, thing}]) end},
    {rpc_call_exit, fun(Far) -> rpc:call(Far, interop, raise, [exit, leaving]) end},
    {rpc_call_throw, fun(Far) -> rpc:call(Far, interop, raise, [throw, thrown]) end},
    {rpc_call_undefined, fun(Far) -> rpc:call(Far, no_module, no_function, [1]) end},
    {rpc_call_bad_arguments, fun(Far) -> rpc:call(Far, erlang, atom_to_list, [7]) end},
    {rpc_call_in_time, fun(Far) -> rpc:call(Far, lists, seq, [1, 3], 2000) end},
    {rpc_call_timeout, fun(Far) -> {rpc:call(Far, timer, sleep, [60], 10), timer:sleep(60), quiet()} end},
    {rpc_call_that_kills_itself, fun(Far) -> rpc:call(Far, erlang, apply, [fun() -> exit(self(), kill) end, []]) end},
    {rpc_block_call, fun(Far) -> rpc:block_call(Far, lists, reverse, [[1, 2]]) end},
    {rpc_block_call_error, fun(Far) -> rpc:block_call(Far, interop, raise, [error, blocked]) end},
    {rpc_block_call_timeout, fun(Far) -> rpc:block_call(Far, timer, sleep, [50], 10) end},
    {rpc_cast, fun(Far) ->
        Ref = make_ref(), {rpc:cast(Far, ?MODULE, parent_told, [Ref, self()]), next()}
    end},
    {rpc_eval_everywhere, fun(Far) ->
        Ref = make_ref(), {rpc:eval_everywhere([Far], ?MODULE, parent_told, [Ref, self()]), next()}
    end},
    {rpc_abcast, fun(Far) -> {rpc:abcast([Far], ops_srv, hello), rpc:call(Far, timer, sleep, [5]), taken(Far)} end},
    {rpc_async_call_and_yield, fun(Far) -> rpc:yield(rpc:async_call(Far, erlang, node, [])) end},
    {rpc_async_calls_out_of_order, fun(Far) ->
        [A, B] = [rpc:async_call(Far, interop, raise, [throw, N]) || N <- [1, 2]], [rpc:yield(B), rpc:yield(A)]
    end},
    {rpc_nb_yield, fun(Far) ->
        Key = rpc:async_call(Far, timer, sleep, [30]), {rpc:nb_yield(Key, 0), rpc:nb_yield(Key, 2000)}
    end},
    {rpc_multicall, fun(Far) -> rpc:multicall([Far], erlang, node, []) end},
    {rpc_multicall_of_both, fun(Far) -> {Good, Bad} = rpc:multicall([node(), Far], lists, sum, [[1, 2]]), {Good, Bad} end},
    {rpc_multicall_error, fun(Far) -> rpc:multicall([Far], interop, raise, [error, no], 2000) end},
    {rpc_multicall_timeout, fun(Far) -> rpc:multicall([Far], timer, sleep, [50], 10) end},
    {rpc_pinfo, fun(Far) -> Pid = gen_server:call({ops_srv, Far}, self), rpc:pinfo(Pid, registered_name) end},
    {rpc_to_a_name_of_rex, fun(Far) -> gen_server:call({rex, Far}, {call, erlang, node, [], group_leader()}) end}
].

erpcs() -> [
    {erpc_call, fun(Far) -> erpc:call(Far, lists, seq, [1, 3]) end},
    {erpc_call_fun, fun(Far) -> Y = 5, erpc:call(Far, fun() -> {node(), Y} end) end},
    {erpc_call_error, fun(Far) -> caught(fun() -> erpc:call(Far, interop, raise, [error, oops]) end) end},
    {erpc_call_badarith, fun(Far) -> caught(fun() -> erpc:call(Far, erlang, '+', [a, 1]) end) end},
    {erpc_call_exit, fun(Far) -> caught(fun() -> erpc:call(Far, interop, raise, [exit, {out, 1}]) end) end},
    {erpc_call_throw, fun(Far) -> caught(fun() -> erpc:call(Far, interop, raise, [throw, ball]) end) end},
    {erpc_call_signal, fun(Far) -> caught(fun() -> erpc:call(Far, fun() -> exit(self(), kill) end) end) end},
    {erpc_call_timeout, fun(Far) -> {caught(fun() -> erpc:call(Far, timer, sleep, [50], 10) end), timer:sleep(60), quiet()} end},
    {erpc_call_undefined, fun(Far) -> caught(fun() -> erpc:call(Far, no_module, no_function, []) end) end},
    {erpc_cast, fun(Far) -> Ref = make_ref(), {erpc:cast(Far, ?MODULE, parent_told, [Ref, self()]), next()} end},
    {erpc_cast_fun, fun(Far) ->
        Ref = make_ref(), Self = self(), {erpc:cast(Far, fun() -> Self ! {Ref, node()} end), next()}
    end},
    {erpc_multicall, fun(Far) -> erpc:multicall([Far, node()], erlang, node, []) end},
    {erpc_multicall_error, fun(Far) -> erpc:multicall([Far], interop, raise, [exit, gone], 2000) end},
    {erpc_multicast, fun(Far) -> Ref = make_ref(), {erpc:multicast([Far], ?MODULE, parent_told, [Ref, self()]), next()} end},
    {erpc_send_and_receive, fun(Far) -> erpc:receive_response(erpc:send_request(Far, erlang, node, []), 2000) end},
    {erpc_send_and_wait, fun(Far) ->
        Id = erpc:send_request(Far, timer, sleep, [30]), {erpc:wait_response(Id, 1), erpc:wait_response(Id, 2000)}
    end},
    {erpc_send_and_check, fun(Far) ->
        Id = erpc:send_request(Far, fun() -> checked end),
        {erpc:check_response(other, Id), checked(Id)}
    end},
    {erpc_send_given_up, fun(Far) ->
        Id = erpc:send_request(Far, timer, sleep, [30]),
        {caught(fun() -> erpc:receive_response(Id, 5) end), timer:sleep(40), quiet()}
    end},
    {erpc_requests_as_a_collection, fun(Far) ->
        Ids = lists:foldl(fun(N, Acc) -> erpc:send_request(Far, lists, seq, [1, N], N, Acc) end, erpc:reqids_new(), [1, 2, 3]),
        collected(erpc, Ids, [])
    end}
].

%% Its answer may need two messages: that it was spawned, and its end.
checked(Id) ->
    case erpc:check_response(next(), Id) of
        no_response -> checked(Id);
        Response -> Response
    end.

spawns() -> [
    {spawn_fun_with_reference, fun(Far) ->
        Self = self(), Ref = make_ref(), spawn(Far, fun() -> Self ! {Ref, node()} end), next()
    end},
    {spawn_mfa, fun(Far) -> Pid = spawn(Far, interop, sleeper, []), {node(Pid), is_alive(Pid)} end},
    {spawn_link_fun, fun(Far) -> trap(), Pid = spawn_link(Far, fun() -> exit(linked) end), {next(), Pid} end},
    {spawn_link_mfa, fun(Far) -> trap(), spawn_link(Far, interop, stop_with, [{because, [1]}]), next() end},
    {spawn_monitor_fun, fun(Far) -> {_, Ref} = spawn_monitor(Far, fun() -> exit(watched) end), down(Ref) end},
    {spawn_monitor_mfa, fun(Far) -> {_, Ref} = spawn_monitor(Far, ?MODULE, quick, []), down(Ref) end},
    {spawn_opt_all, fun(Far) ->
        trap(),
        {Pid, Ref} = spawn_opt(Far, interop, stop_with, [both], [link, monitor, {priority, high}, {fullsweep_after, 5}]),
        {down(Ref), receive {'EXIT', Pid, Why} -> Why after ?FAR_MS -> nothing end}
    end},
    {spawn_opt_monitor_options, fun(Far) ->
        {_, Ref} = spawn_opt(Far, interop, stop_with, [tagged], [{monitor, [{tag, my_down}]}]),
        receive {my_down, Ref, _, _, Reason} -> Reason after ?FAR_MS -> nothing end
    end},
    {spawn_opt_monitor_alias, fun(Far) ->
        {Pid, Ref} = spawn_opt(Far, fun() -> receive {ask, Alias} -> Alias ! {Alias, aliased}, interop:sleeper() end end,
                               [{monitor, [{alias, reply_demonitor}]}]),
        Pid ! {ask, Ref},
        Got = next(), exit(Pid, kill), {Got, quiet()}
    end},
    {spawn_undefined, fun(Far) -> trap(), spawn_link(Far, no_module, no_function, [x]), next() end},
    {spawn_raises, fun(Far) -> {_, Ref} = spawn_monitor(Far, erlang, hd, [[]]), down(Ref) end},
    {spawn_request, fun(Far) ->
        Id = spawn_request(Far, interop, sleeper, [], []), receive {spawn_reply, Id, R, Pid} -> {R, Pid} after ?FAR_MS -> nothing end
    end},
    {spawn_request_tagged_and_watched, fun(Far) ->
        Id = spawn_request(Far, fun() -> exit(asked) end, [monitor, {reply_tag, {my, tag}}]),
        {receive {{my, tag}, Id, R, Pid} -> {R, Pid} after ?FAR_MS -> nothing end, down(Id)}
    end},
    {spawn_request_without_reply, fun(Far) ->
        Id = spawn_request(Far, ?MODULE, quick, [], [monitor, {reply, no}]), down(Id)
    end},
    {spawn_request_success_only, fun(Far) ->
        Id = spawn_request(Far, ?MODULE, quick, [], [{reply, success_only}]),
        receive {spawn_reply, Id, R, _} -> R after ?FAR_MS -> nothing end
    end},
    {spawn_request_error_only, fun(Far) -> spawn_request(Far, ?MODULE, quick, [], [{reply, error_only}]), quiet() end},
    {spawn_request_bad_option, fun(Far) ->
        caught(fun() -> spawn_request(Far, ?MODULE, quick, [], [no_such_option]) end)
    end},
    {spawn_request_abandoned, fun(Far) ->
        Id = spawn_request(Far, ?MODULE, stopped, [late], [link]), {spawn_request_abandon(Id), quiet()}
    end},
    {spawn_child_tells_its_parent, fun(Far) ->
        {Pid, _} = spawn_monitor(Far, ?MODULE, child, [self()]),
        receive {Pid, What} -> What after ?FAR_MS -> nothing end
    end},
    {spawn_linked_child_tells_much, fun(Far) ->
        Self = self(),
        Pid = spawn_link(Far, fun() -> [Self ! {self(), N} || N <- lists:seq(1, 100)], interop:sleeper() end),
        lists:sum([receive {Pid, N} -> N after ?FAR_MS -> exit({nothing, N}) end || N <- lists:seq(1, 100)])
    end}
].

monitors() -> [
    {monitor_pid_that_ends, fun(Far) -> Pid = sleeper(Far), Ref = monitor(process, Pid), Pid ! stop, down(Ref) end},
    {monitor_pid_that_crashes, fun(Far) ->
        Pid = spawn(Far, ?MODULE, stopped, [{crash, "text", 1.5}]), Ref = monitor(process, Pid), Pid ! stop, down(Ref)
    end},
    {monitor_pid_that_is_killed, fun(Far) -> Pid = sleeper(Far), Ref = monitor(process, Pid), exit(Pid, kill), down(Ref) end},
    {monitor_dead_pid, fun(Far) -> Pid = sleeper(Far), exit(Pid, kill), is_gone(Pid), down(monitor(process, Pid)) end},
    {monitor_name_that_ends, fun(Far) ->
        Pid = sleeper(Far), rpc:call(Far, erlang, register, [ops_named, Pid]),
        Ref = monitor(process, {ops_named, Far}), Pid ! stop, down(Ref)
    end},
    {monitor_no_name, fun(Far) -> down(monitor(process, {ops_nobody, Far})) end},
    {monitor_with_tag, fun(Far) ->
        Ref = monitor(process, {ops_nobody, Far}, [{tag, {its, tag}}]),
        receive {{its, tag}, Ref, process, What, Reason} -> {What, Reason} after ?FAR_MS -> nothing end
    end},
    {monitor_with_alias, fun(Far) ->
        Box = box(Far), Ref = monitor(process, Box, [{alias, demonitor}]),
        Box ! {'$do', Ref, Ref, fun() -> by_alias end},
        Got = next(), exit(Box, kill), {Got, down(Ref)}
    end},
    {monitor_twice, fun(Far) ->
        Pid = sleeper(Far), A = monitor(process, Pid), B = monitor(process, Pid), Pid ! stop, {down(A), down(B)}
    end},
    {demonitor, fun(Far) -> Pid = sleeper(Far), Ref = monitor(process, Pid), {demonitor(Ref), Pid ! stop, quiet()} end},
    {demonitor_flush_and_info, fun(Far) ->
        Pid = sleeper(Far), Ref = monitor(process, Pid),
        {demonitor(Ref, [flush, info]), demonitor(Ref, [info]), is_alive(Pid)}
    end},
    {monitors_of_a_hundred, fun(Far) ->
        All = [spawn_monitor(Far, interop, sleeper, []) || _ <- lists:seq(1, 100)],
        [Pid ! stop || {Pid, _} <- All], lists:usort([element(3, down(Ref)) || {_, Ref} <- All])
    end}
].

links() -> [
    {link_far_ends_normally, fun(Far) -> trap(), Pid = sleeper(Far), link(Pid), Pid ! stop, next() end},
    {link_far_crashes, fun(Far) ->
        trap(), Pid = spawn(Far, ?MODULE, stopped, [{far, crashed}]), link(Pid), Pid ! stop, next()
    end},
    {link_far_crash_ends_this_one, fun(Far) ->
        {_, Ref} = spawn_monitor(fun() ->
            Pid = spawn(Far, ?MODULE, stopped, [{far, crashed}]), link(Pid), Pid ! stop, interop:sleeper()
        end),
        down(Ref)
    end},
    {link_here_is_killed, fun(Far) ->
        Pid = sleeper(Far), Ref = monitor(process, Pid),
        Here = spawn(fun() -> link(Pid), interop:sleeper() end), linked(Pid, Here), exit(Here, kill), down(Ref)
    end},
    {link_here_ends_normally, fun(Far) ->
        Pid = sleeper(Far), Here = spawn(fun() -> link(Pid), interop:sleeper() end), linked(Pid, Here), Here ! stop,
        interop:wait(fun() -> not lists:member(Here, element(2, rpc:call(Far, erlang, process_info, [Pid, links]))) end),
        is_alive(Pid)
    end},
    {link_here_shuts_down_and_far_is_told, fun(Far) ->
        Box = trapping_box(Far),
        Here = spawn(fun() -> link(Box), receive stop -> exit(shutdown) end end),
        linked(Box, Here), Here ! stop, interop:take(Box)
    end},
    {link_dead_pid, fun(Far) -> trap(), Pid = sleeper(Far), exit(Pid, kill), is_gone(Pid), link(Pid), next() end},
    {link_dead_pid_without_trapping, fun(Far) ->
        Pid = sleeper(Far), exit(Pid, kill), is_gone(Pid),
        {_, Ref} = spawn_monitor(fun() -> link(Pid), interop:sleeper() end), down(Ref)
    end},
    {link_twice, fun(Far) -> trap(), Pid = sleeper(Far), link(Pid), link(Pid), exit(Pid, kill), {next(), quiet()} end},
    {unlink, fun(Far) ->
        trap(), Pid = sleeper(Far), link(Pid), unlink(Pid), exit(Pid, kill), is_gone(Pid), quiet()
    end},
    {unlink_and_link_again, fun(Far) ->
        trap(), Pid = sleeper(Far), [begin link(Pid), unlink(Pid) end || _ <- lists:seq(1, 50)], link(Pid), exit(Pid, kill), next()
    end},
    {unlink_what_is_not_linked, fun(Far) -> unlink(sleeper(Far)) end},
    {unlink_by_the_far_process, fun(Far) ->
        trap(), Box = box(Far), Self = self(), link(Box),
        interop:do(Box, fun() -> unlink(Self) end), exit(Box, kill), is_gone(Box), quiet()
    end},
    {unlink_on_both_sides_at_once, fun(Far) ->
        trap(), Box = box(Far), Self = self(),
        [begin link(Box), Ref = make_ref(), Box ! {'$do', Self, Ref, fun() -> unlink(Self) end}, unlink(Box),
               receive {Ref, true} -> ok end end || _ <- lists:seq(1, 30)],
        exit(Box, kill), is_gone(Box), quiet()
    end},
    {links_of_a_hundred, fun(Far) ->
        trap(),
        All = [spawn_link(Far, ?MODULE, stopped, [together]) || _ <- lists:seq(1, 100)], [P ! stop || P <- All],
        lists:usort([receive {'EXIT', P, R} -> R after ?FAR_MS -> nothing end || P <- All])
    end}
].

linked(Far, Here) ->
    interop:wait(fun() -> lists:member(Here, element(2, rpc:call(node(Far), erlang, process_info, [Far, links]))) end).

exits() -> [
    {exit_kill, fun(Far) -> Pid = sleeper(Far), Ref = monitor(process, Pid), {exit(Pid, kill), down(Ref)} end},
    {exit_reason, fun(Far) -> Pid = sleeper(Far), Ref = monitor(process, Pid), {exit(Pid, {go, away}), down(Ref)} end},
    {exit_normal_does_nothing, fun(Far) -> Pid = sleeper(Far), exit(Pid, normal), {is_alive(Pid), exit(Pid, kill)} end},
    {exit_is_trapped, fun(Far) -> Box = trapping_box(Far), exit(Box, {asked, "nicely"}), interop:take(Box) end},
    {exit_kill_is_not_trapped, fun(Far) -> Box = trapping_box(Far), Ref = monitor(process, Box), exit(Box, kill), down(Ref) end},
    {exit_of_dead_pid, fun(Far) -> Pid = sleeper(Far), exit(Pid, kill), is_gone(Pid), exit(Pid, again) end}
].

messages() -> [
    {message_to_name, fun(Far) -> {ops_srv, Far} ! {hello, 1}, taken(Far) end},
    {message_to_pid, fun(Far) -> gen_server:call({ops_srv, Far}, self) ! plain, taken(Far) end},
    {message_to_no_name, fun(Far) -> {ops_nobody, Far} ! lost, quiet() end},
    {message_nosuspend, fun(Far) ->
        {erlang:send({ops_srv, Far}, here, [nosuspend, noconnect]), erlang:send_nosuspend({ops_srv, Far}, too), taken(Far)}
    end},
    {messages_in_order, fun(Far) -> [{ops_srv, Far} ! N || N <- lists:seq(1, 200)], taken(Far) end},
    {answer_with_reference, fun(Far) ->
        Box = box(Far), Ref = make_ref(), Self = self(), Box ! {'$do', Self, Ref, fun() -> node() end}, next()
    end},
    {answer_to_another_process, fun(Far) ->
        Self = self(), Ref = make_ref(),
        Other = spawn(fun() -> receive M -> Self ! {passed_on, M} end end),
        Box = box(Far), Box ! {'$do', Other, Ref, fun() -> ok end}, next()
    end},
    {answer_to_alias, fun(Far) ->
        Alias = alias(), Box = box(Far), Box ! {'$do', Alias, Alias, fun() -> ok end}, Got = next(), {Got, unalias(Alias)}
    end},
    {answer_to_alias_that_ended, fun(Far) ->
        Alias = alias([explicit_unalias]), Box = box(Far), unalias(Alias), Box ! {'$do', Alias, Alias, fun() -> ok end}, quiet()
    end},
    {answer_to_reply_alias, fun(Far) ->
        Alias = alias([reply]), Box = box(Far),
        Box ! {'$do', Alias, Alias, fun() -> once end}, {next(), quiet()}
    end},
    {answer_with_reference_in_a_pair, fun(Far) ->
        Self = self(), Ref = make_ref(), Tag = {Ref, 3},
        Box = box(Far), interop:do(Box, fun() -> Self ! {Tag, third}, ok end), next()
    end},
    {answers_to_many_references, fun(Far) ->
        Box = box(Far), Refs = [make_ref() || _ <- lists:seq(1, 100)],
        [Box ! {'$do', self(), R, fun() -> ok end} || R <- Refs],
        lists:usort([receive {R, V} -> V after ?FAR_MS -> nothing end || R <- Refs])
    end},
    {timer_that_answers, fun(Far) ->
        Ref = make_ref(), Self = self(), {ok, _} = rpc:call(Far, timer, send_after, [10, Self, {Ref, late}]), next()
    end},
    {send_after_of_far, fun(Far) ->
        Ref = make_ref(), Self = self(), Pid = sleeper(Far),
        _ = rpc:call(Far, erlang, apply, [fun() -> erlang:send_after(10, whereis(ops_srv), {Ref, Self}) end, []]),
        interop:wait(fun() -> sys:get_state({ops_srv, Far}) =/= [] end), exit(Pid, kill), length(taken(Far))
    end},
    {group_leader_of_far_process, fun(Far) ->
        {Result, Printed} = with_output(fun(Collector) ->
            Box = box(Far), true = group_leader(Collector, Box),
            interop:wait(fun() -> rpc:call(Far, erlang, process_info, [Box, group_leader]) =:= {group_leader, Collector} end),
            interop:do(Box, fun() -> io:format("led ~p~n", [node() =/= here]) end)
        end),
        {Result, Printed}
    end}
].

output() -> [
    {output_of_rpc, fun(Far) -> with_output(fun(_) -> rpc:call(Far, io, format, ["one ~p ~s ~ts~n", [{a, 1}, "two", "\x{e5}\x{65e5}"]]) end) end},
    {output_of_erpc, fun(Far) -> with_output(fun(_) -> erpc:call(Far, io, put_chars, ["\x{2713} done\n"]) end) end},
    {output_of_spawn, fun(Far) ->
        with_output(fun(_) -> {_, Ref} = spawn_monitor(Far, interop, say, ["\x{fc}ber\n"]), down(Ref) end)
    end},
    {output_of_block_call, fun(Far) -> with_output(fun(_) -> rpc:block_call(Far, io, fwrite, ["~10.3.0f|~6w|~c~n", [1.5, ok, 65]]) end) end},
    {output_of_binaries, fun(Far) -> with_output(fun(_) -> rpc:call(Far, io, put_chars, [<<"bytes ", 195, 165, "\n">>]) end) end},
    {output_of_latin1, fun(Far) -> with_output(fun(_) -> rpc:call(Far, io, put_chars, [standard_io, [$a, 229, $\n]]) end) end},
    {output_of_terms, fun(Far) ->
        with_output(fun(_) -> [rpc:call(Far, io, F, A) || {F, A} <- [{write, [{x, "y"}]}, {nl, []}, {fwrite, ["~w~n", [[1]]]},
                                                                  {format, ["~P ~W~n", [lists:seq(1, 20), 5, {a, b, c}, 2]]}]] end)
    end},
    {output_geometry, fun(Far) -> with_output(fun(_) -> {rpc:call(Far, io, columns, []), rpc:call(Far, io, rows, [])} end) end},
    {output_getopts, fun(Far) -> with_output(fun(_) -> rpc:call(Far, io, getopts, []) end) end},
    {output_of_several_requests, fun(Far) ->
        with_output(fun(Leader) ->
            rpc:call(Far, io, request, [Leader, {requests, [{put_chars, unicode, "a"}, {put_chars, unicode, "b"}]}])
        end)
    end},
    {output_of_a_listing, fun(Far) ->
        {ok, Printed} = with_output(fun(_) -> rpc:call(Far, c, regs, []) end), re:run(Printed, "ops_srv", [{capture, none}])
    end},
    {output_of_much, fun(Far) ->
        {Results, Printed} = with_output(fun(_) -> rpc:call(Far, erlang, apply, [fun() -> [io:format("~p~n", [N]) || N <- lists:seq(1, 300)] end, []]) end),
        {lists:usort(Results), length(Printed)}
    end},
    {output_to_user_of_far, fun(Far) -> rpc:call(Far, io, format, [user, "", []]) end}
].

systems() -> [
    {process_info, fun(Far) ->
        Pid = gen_server:call({ops_srv, Far}, self), rpc:call(Far, erlang, process_info, [Pid, [registered_name, status, trap_exit]])
    end},
    {process_flag, fun(Far) -> Box = box(Far), {interop:do(Box, fun() -> process_flag(trap_exit, true) end), exit(Box, kill)} end},
    {whole_process_info, fun(Far) ->
        Pid = gen_server:call({ops_srv, Far}, self), lists:sort([K || {K, _} <- rpc:call(Far, erlang, process_info, [Pid])])
    end},
    {observer_backend, fun(Far) ->
        {is_list(rpc:call(Far, observer_backend, sys_info, [])),
         is_list(rpc:call(Far, observer_backend, get_table_list, [ets, []])),
         is_list(rpc:call(Far, observer_backend, get_port_list, []))}
    end},
    {system_info, fun(Far) -> rpc:call(Far, erlang, system_info, [otp_release]) end},
    {memory, fun(Far) -> lists:sort([K || {K, _} <- rpc:call(Far, erlang, memory, [])]) end},
    {whereis, fun(Far) -> {rpc:call(Far, erlang, whereis, [ops_srv]), rpc:call(Far, erlang, whereis, [ops_nobody])} end},
    {registered, fun(Far) -> lists:member(ops_srv, rpc:call(Far, erlang, registered, [])) end},
    {code_loading, fun(Far) ->
        {Module, Code} = made_module(),
        [rpc:call(Far, code, load_binary, [Module, "made.erl", Code]), rpc:call(Far, Module, hello, []),
         rpc:call(Far, code, which, [Module]), rpc:call(Far, code, delete, [Module]), rpc:call(Far, code, purge, [Module])]
    end},
    {code_of_far, fun(Far) ->
        {lists, Code, File} = rpc:call(Far, code, get_object_code, [lists]), {is_binary(Code), filename:basename(File)}
    end},
    {code_multi_load, fun(Far) ->
        {Module, Code} = made_module(),
        {rpc:multicall([Far], code, load_binary, [Module, "made.erl", Code]), rpc:call(Far, code, delete, [Module]),
         rpc:call(Far, code, purge, [Module])}
    end},
    {module_info, fun(Far) -> rpc:call(Far, gateway_ops, module_info, [md5]) =:= ?MODULE:module_info(md5) end},
    {application_list, fun(Far) -> lists:sort([A || {A, _, _} <- rpc:call(Far, application, which_applications, [])]) end},
    {application_start_and_stop, fun(Far) ->
        {rpc:call(Far, application, ensure_all_started, [runtime_tools]), rpc:call(Far, application, stop, [runtime_tools])}
    end},
    {application_environment, fun(Far) ->
        [rpc:call(Far, application, F, A) || {F, A} <- [{set_env, [kernel, ops_key, 7]}, {get_env, [kernel, ops_key]}, {unset_env, [kernel, ops_key]},
                                                    {get_env, [kernel, ops_key]}]]
    end},
    {ets_of_far, fun(Far) ->
        Box = box(Far),
        T = interop:do(Box, fun() -> ets:new(ops_table, [public]) end),
        R = [rpc:call(Far, ets, F, [T | A]) || {F, A} <- [{insert, [[{1, a}, {2, b}]]}, {lookup, [1]}, {tab2list, []}, {match, [{'$1', b}]},
                                                         {no_function, []}, {delete, []}]],
        exit(Box, kill), [case E of [_ | _] -> lists:sort(E); _ -> E end || E <- R]
    end},
    {dets_of_far, fun(Far) ->
        Box = box(Far), File = "ops_" ++ integer_to_list(erlang:unique_integer([positive])) ++ ".dets",
        R = interop:do(Box, fun() -> {ok, D} = dets:open_file(ops_dets, [{file, File}]), dets:insert(D, {k, v}), dets:lookup(D, k) end),
        S = rpc:call(Far, dets, lookup, [ops_dets, k]),
        {R, S, interop:do(Box, fun() -> dets:close(ops_dets) end), rpc:call(Far, file, delete, [File]), exit(Box, kill)}
    end},
    {file_over_rpc, fun(Far) ->
        Name = "ops_" ++ integer_to_list(erlang:unique_integer([positive])),
        [rpc:call(Far, file, F, A) || {F, A} <- [{write_file, [Name, <<"line 1\nline 2\n">>]}, {read_file, [Name]}, {consult, ["missing"]},
                                               {delete, [Name]}, {read_file, [Name]}]]
    end},
    {file_device_of_far, fun(Far) ->
        Box = box(Far), Name = "ops_" ++ integer_to_list(erlang:unique_integer([positive])),
        {ok, File} = interop:do(Box, fun() -> file:open(Name, [read, write, {encoding, utf8}]) end),
        R = [io:format(File, "~ts ~w~n", ["\x{e5}", 1]), file:position(File, 0), io:get_line(File, ""), io:get_line(File, ""),
             io:get_chars(File, "", 1), file:close(File), caught(fun() -> io:format(File, "x", []) end)],
        {R, rpc:call(Far, file, delete, [Name]), exit(Box, kill)}
    end},
    {file_device_reads_bytes, fun(Far) ->
        Box = box(Far), Name = "ops_" ++ integer_to_list(erlang:unique_integer([positive])),
        {ok, File} = interop:do(Box, fun() -> file:open(Name, [read, write, binary]) end),
        R = [file:write(File, <<"0123456789">>), file:pread(File, 2, 3), file:pread(File, [{0, 1}, {8, 5}]), file:sync(File),
             file:position(File, eof), file:read(File, 1), file:truncate(File), file:close(File)],
        {R, rpc:call(Far, file, delete, [Name]), exit(Box, kill)}
    end},
    {os_command, fun(Far) -> rpc:call(Far, os, cmd, ["echo from-there"]) end},
    {tcp_of_far, fun(Far) ->
        Box = box(Far),
        R = interop:do(Box, fun() -> {ok, L} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]), {inet:port(L), L} end),
        exit(Box, kill), element(1, element(1, R))
    end},
    {logger_of_far, fun(Far) ->
        [rpc:call(Far, logger, F, A) || {F, A} <- [{get_handler_ids, []}, {set_module_level, [ops_module, debug]},
                                                 {get_module_level, [ops_module]}, {unset_module_level, [ops_module]}]]
    end},
    {trace_of_far, fun(Far) ->
        Box = box(Far),
        Counts = rpc:call(Far, erlang, apply, [fun() ->
            1 = erlang:trace_pattern({?MODULE, quick, 0}, true, [call_count]), quick(), erlang:trace_info({?MODULE, quick, 0}, call_count)
        end, []]),
        exit(Box, kill), Counts
    end},
    {persistent_term_of_far, fun(Far) ->
        [rpc:call(Far, persistent_term, F, A) || {F, A} <- [{put, [ops_pt, 1]}, {get, [ops_pt]}, {erase, [ops_pt]}]]
    end},
    {monitor_node, fun(Far) -> {monitor_node(Far, true), monitor_node(Far, false), quiet()} end}
].

made_module() ->
    Forms = [{attribute, 1, module, ops_made}, {attribute, 2, export, [{hello, 0}]},
             {function, 3, hello, 0, [{clause, 3, [], [], [{atom, 3, from_made_code}]}]}],
    {ok, Module, Code} = compile:forms(Forms),
    {Module, Code}.

last() -> [
    {connection_lost, fun(Far) ->
        trap(), Pid = sleeper(Far), link(Pid), Ref = monitor(process, Pid), Named = monitor(process, {ops_srv, Far}),
        true = monitor_node(Far, true), _ = rpc:call(Far, erlang, node, []),
        Call = spawn_monitor(fun() -> exit(caught(fun() -> gen_server:call({ops_srv, Far}, never) end)) end),
        Rpc = rpc:async_call(Far, timer, sleep, [5000]),
        timer:sleep(20),
        {erlang:disconnect_node(Far), down(Ref), down(Named), receive {'EXIT', Pid, R} -> R after ?FAR_MS -> nothing end,
         receive {nodedown, N} -> N after ?FAR_MS -> nothing end, down(element(2, Call)), rpc:yield(Rpc), again(Far, 50)}
    end},
    {connected_again, fun(Far) -> {net_adm:ping(Far), gen_server:call({ops_srv, Far}, {add, 1, 2})} end}
].

again(Far, Left) ->
    case net_adm:ping(Far) of
        pang when Left > 0 -> timer:sleep(20), again(Far, Left - 1);
        Answer -> Answer
    end.

%% What the default rules of a gateway refuse or change, with the outcome for the one that asked.

-define(SOON_MS, 150).

soon() -> receive M -> M after ?SOON_MS -> nothing end.

%% The outcome of what may wait for ever.
limited(Fun) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({outcome, caught(Fun)}) end),
    receive {'DOWN', Ref, _, _, {outcome, Outcome}} -> Outcome
    after ?SOON_MS -> exit(Pid, kill), waits end.

far_does(Far, Fun) -> spawn(Far, Fun), ok.

denials() -> [
    {atom_tagged_answer, fun(Far) -> Self = self(), far_does(Far, fun() -> Self ! {result, 42} end), soon() end},
    {bare_message, fun(Far) -> Self = self(), far_does(Far, fun() -> Self ! done end), soon() end},
    {child_without_link_or_monitor, fun(Far) -> Self = self(), far_does(Far, fun() -> Self ! {self(), hello} end), soon() end},
    {second_answer_under_one_reference, fun(Far) ->
        Self = self(), Ref = make_ref(),
        far_does(Far, fun() -> Self ! {Ref, 1}, Self ! {Ref, 2} end), [soon(), soon()]
    end},
    {event_subscription, fun(Far) ->
        Box = box(Far), Self = self(),
        interop:do(Box, fun() -> [Self ! {event, N} || N <- [1, 2]], ok end), [soon(), soon()]
    end},
    {message_to_a_name, fun(Far) ->
        register(ops_here, self()), Here = node(),
        far_does(Far, fun() -> {ops_here, Here} ! {note, 1} end), Got = soon(), unregister(ops_here), Got
    end},
    {message_to_an_alias_without_it, fun(Far) -> Alias = alias(), far_does(Far, fun() -> Alias ! {note, 1} end), soon() end},
    {rpc_sbcast, fun(Far) -> limited(fun() -> rpc:sbcast([Far], ops_nobody, hello) end) end},
    {rpc_multi_server_call, fun(Far) -> limited(fun() -> rpc:multi_server_call([Far], ops_answerer, hello) end) end},
    {rpc_server_call, fun(Far) -> limited(fun() -> rpc:server_call(Far, ops_answerer, ops_answerer, hello) end) end},
    {process_list_of_observer, fun(Far) ->
        _ = rpc:call(Far, erlang, spawn, [observer_backend, procs_info, [self()]]),
        case soon() of nothing -> nothing; Message -> element(1, Message) end
    end},
    {supervised_event_handler, fun(Far) ->
        Added = gen_event:add_sup_handler({ops_event, Far}, ?MODULE, handler), Got = soon(),
        Left = gen_event:which_handlers({ops_event, Far}),
        gen_event:delete_handler({ops_event, Far}, ?MODULE, over), {Added, Got, Left}
    end},
    {log_event_of_a_process, fun(Far) ->
        logged(fun() -> {_, Ref} = spawn_monitor(Far, erlang, hd, [[]]), down(Ref) end)
    end},
    {log_event_of_a_server, fun(Far) ->
        Pid = far_server(Far), logged(fun() -> Ref = monitor(process, Pid), Pid ! {'$gen_call', nobody, x}, down(Ref) end)
    end},
    {input_of_a_line, fun(Far) -> with_input(["typed\n"], fun(_) -> rpc:call(Far, io, get_line, ["> "]) end) end},
    {input_of_a_term, fun(Far) -> with_input(["{a, 1}.\n"], fun(_) -> rpc:call(Far, io, read, ["> "]) end) end},
    {input_by_a_format, fun(Far) -> limited(fun() -> with_input(["7\n"], fun(_) -> rpc:call(Far, io, fread, ["> ", "~d"]) end) end) end},
    {remote_shell, fun(Far) ->
        element(1, with_input(["1 + 1.\n", "{this, node()}.\n"], fun(Collector) ->
            Shell = rpc:call(Far, shell, start, []), Ref = monitor(process, Shell),
            shell_said(Collector, Shell, Ref)
        end))
    end},
    {output_in_colours, fun(Far) -> with_output(fun(_) -> rpc:call(Far, io, put_chars, ["\e[31mred\e[0m\n"]) end) end},
    {output_with_a_width_from_arguments, fun(Far) ->
        with_output(fun(_) -> element(1, caught(fun() -> ok = rpc:call(Far, io, format, ["~*c|", [3, $x]]) end)) end)
    end},
    {output_options, fun(Far) -> with_output(fun(_) -> rpc:call(Far, io, setopts, [[{encoding, unicode}]]) end) end},
    {answer_with_a_fun, fun(Far) ->
        caught(fun() -> gen_server:call({ops_srv, Far}, {run, fun() -> fun erlang:node/0 end}) end)
    end},
    {answer_of_a_third_node, fun(Far) -> caught(fun() -> gen_server:call({ops_srv, Far}, {run, fun third/0}) end) end},
    {result_with_a_fun, fun(Far) -> rpc:call(Far, erlang, apply, [fun() -> fun lists:map/2 end, []]) end},
    {reason_with_a_fun, fun(Far) -> {_, Ref} = spawn_monitor(Far, fun() -> exit({bad, fun lists:map/2}) end), down(Ref) end},
    {reason_of_a_third_node, fun(Far) -> {_, Ref} = spawn_monitor(Far, fun() -> exit({bad, third()}) end), down(Ref) end},
    {third_node_in_a_call, fun(Far) -> caught(fun() -> gen_server:call({ops_srv, Far}, {echo, third()}) end) end},
    {third_node_in_a_spawn, fun(Far) -> caught(fun() -> erpc:call(Far, erlang, node, [third()]) end) end},
    {reason_of_this_side, fun(Far) ->
        Box = trapping_box(Far),
        Here = spawn(fun() -> link(Box), receive stop -> exit({secret, 7}) end end),
        linked(Box, Here), Here ! stop, interop:take(Box)
    end},
    {call_of_net_kernel, fun(Far) -> caught(fun() -> gen_server:call({net_kernel, Far}, longnames) end) end},
    {call_of_auth, fun(Far) -> caught(fun() -> is_atom(gen_server:call({auth, Far}, get_our_cookie)) end) end},
    {message_to_init, fun(Far) ->
        Box = box(Far), true = interop:do(Box, fun() -> erlang:suspend_process(whereis(init)) end),
        {init, Far} ! {unknown, word},
        Queued = rpc:call(Far, erlang, apply, [fun() -> process_info(whereis(init), messages) end, []]),
        exit(Box, kill), Queued
    end}
].

third() -> binary_to_term(<<131, 88, 119, 3, "a@b", 1:32, 2:32, 3:32>>).

logged(Fun) ->
    ok = logger:add_handler(ops_log, ?MODULE, #{config => self()}),
    Fun(), Got = soon(), logger:remove_handler(ops_log), Got.

%% What it printed in the end, or that it ended before.
shell_said(Collector, Shell, Ref) ->
    Text = printed(Collector),
    case re:run(Text, "> 2\n.*{this,", [{capture, none}]) of
        match -> exit(Shell, kill), said;
        nomatch ->
            receive {'DOWN', Ref, _, _, _} -> {shell_ended, lists:sublist(printed(Collector), 6)}
            after 10 -> shell_said(Collector, Shell, Ref) end
    end.
