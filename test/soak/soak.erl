%% Mixed traffic between two nodes, checked by the one that commands. Each request has a number of its own, which its answer
%% carries: an answer with another number, and any message that nobody waits for, is a wrong delivery.
-module(soak).
-export([serve/0, echo/1, later/2, crash/1, tell/2, casts/2, cast/0, cast_count/0, tasks/2]).
-export([run/4, wrong/0, trap/0, trapped/0, intrude/1]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(WAIT_MS, 20000).

%% On the worker

serve() ->
    {ok, _} = gen_server:start({local, soak_echo}, ?MODULE, [], []),
    register(soak_casts, spawn(fun() -> count(0) end)),
    spawn(fun() ->
        {ok, _} = 'Elixir.Task.Supervisor':start_link([{name, soak_tasks}]),
        timer:sleep(infinity)
    end),
    wait_for(soak_tasks).

wait_for(Name) ->
    case whereis(Name) of
        undefined -> timer:sleep(10), wait_for(Name);
        _ -> ok
    end.

echo(N) -> {echo, N}.
later(N, Ms) -> timer:sleep(Ms), {echo, N}.
crash(N) -> exit({echo, N}).
tell(To, N) -> To ! {self(), {echo, N}}.

init([]) -> {ok, none}.
handle_call({later, N, Ms}, From, State) ->
    spawn(fun() -> gen_server:reply(From, later(N, Ms)) end),
    {noreply, State};
handle_call({large, N, Binary}, _From, State) ->
    {reply, {echo, N, Binary}, State};
handle_call(N, _From, State) ->
    {reply, {echo, N}, State}.
handle_cast(_, State) -> {noreply, State}.

cast() -> soak_casts ! cast.
cast_count() ->
    Ref = make_ref(),
    soak_casts ! {count, self(), Ref},
    receive {Ref, Count} -> Count end.

count(N) ->
    receive
        cast -> count(N + 1);
        {count, From, Ref} -> From ! {Ref, N}, count(N)
    end.

%% What a worker must not be able to do: each of these would be a delivery nobody asked for.
intrude(Commander) ->
    spawn(fun() -> intrude_loop(Commander, 0) end),
    ok.

intrude_loop(Commander, N) ->
    erlang:send({soak_trap, Commander}, {intruder, N}, [noconnect]),
    erlang:send({soak_trap, Commander}, {'$gen_cast', N}, [noconnect]),
    timer:sleep(50),
    intrude_loop(Commander, N + 1).

%% On the commander

%% `Count` casts, counted by the worker. Each is a spawn request: no more are under way at once than a gateway keeps (maxSpawns).
casts(Node, Count) -> casts(Node, Count, 0).

casts(_, Count, Count) -> Count;
casts(Node, Count, Done) ->
    Next = min(Count, Done + 2000),
    [rpc:cast(Node, ?MODULE, cast, []) || _ <- lists:seq(Done + 1, Next)],
    case casts_arrived(Node, Next, erlang:monotonic_time(millisecond) + ?WAIT_MS) of
        Next -> casts(Node, Count, Next);
        Other -> Other
    end.

casts_arrived(Node, Count, Until) ->
    case {rpc:call(Node, ?MODULE, cast_count, []), erlang:monotonic_time(millisecond)} of
        {Count, _} -> Count;
        {Other, Now} when Now > Until -> {Other, 'of', Count};
        _ -> timer:sleep(2), casts_arrived(Node, Count, Until)
    end.

%% `Count` tasks of Elixir on the worker, 32 at a time.
tasks(Node, Count) ->
    Self = self(),
    Each = Count div 32,
    Rest = Count - Each * 31,
    Pids = [spawn_link(fun() -> Self ! {self(), task_loop(Node, N, Of, 0)} end)
            || {N, Of} <- [{0, Rest} | [{N, Each} || N <- lists:seq(1, 31)]]],
    lists:sum([receive {Pid, Right} -> Right end || Pid <- Pids]).

task_loop(_, _, 0, Right) -> Right;
task_loop(Node, N, Left, Right) ->
    {echo, N} = task(Node, N),
    task_loop(Node, N, Left - 1, Right + 1).

task(Node, N) ->
    Task = 'Elixir.Task.Supervisor':async_nolink({soak_tasks, Node}, ?MODULE, echo, [N]),
    'Elixir.Task':await(Task, ?WAIT_MS).

trap() ->
    spawn(fun() ->
        ets:new(soak_wrong, [named_table, public, bag]),
        register(soak_trap, self()),
        count_any(0)
    end),
    wait_for(soak_trap).

count_any(N) ->
    receive
        {count, From, Ref} -> From ! {Ref, N}, count_any(N);
        _ -> count_any(N + 1)
    end.

trapped() ->
    Ref = make_ref(),
    soak_trap ! {count, self(), Ref},
    receive {Ref, Count} -> Count end.

wrong() -> lists:sublist(ets:tab2list(soak_wrong), 20).

%% Traffic of `Loops` processes for `Ms`, chosen by `Seed`: how many requests were answered, and how many found no connection.
run(Node, Seed, Loops, Ms) ->
    Self = self(),
    Until = erlang:monotonic_time(millisecond) + Ms,
    Pids = [spawn(fun() ->
        rand:seed(exsss, {Seed, Loop, 1}),
        Self ! {self(), loop(Node, Loop bsl 40, Until, {0, 0})}
    end) || Loop <- lists:seq(1, Loops)],
    lists:foldl(fun(Pid, {Right, Lost}) ->
        receive {Pid, {R, L}} -> {Right + R, Lost + L} end
    end, {0, 0}, Pids).

loop(Node, N, Until, {Right, Lost}) ->
    Choice = rand:uniform(14),
    Result = try request(Choice, Node, N) catch _:Reason -> {lost, Reason} end,
    Counts = judge(Choice, N, Result, {Right, Lost}),
    stray(Choice, N),
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            timer:sleep(rand:uniform(40)),
            loop(Node, N + 1, Until, Counts);
        false -> Counts
    end.

judge(_, N, {echo, N}, {Right, Lost}) -> {Right + 1, Lost};
judge(Choice, N, {lost, Reason}, {Right, Lost}) ->
    case is_loss(Reason) of
        true -> ok;
        false -> ets:insert(soak_wrong, {failed, Choice, N, Reason})
    end,
    %% A node that is not there answers at once: the loops would only spin.
    timer:sleep(50),
    {Right, Lost + 1};
judge(Choice, N, Other, Counts) ->
    ets:insert(soak_wrong, {answer, Choice, N, Other}),
    Counts.

%% What a lost connection or a worker that just starts looks like to a caller.
is_loss({erpc, noconnection}) -> true;
is_loss({badrpc, Reason}) -> is_loss(Reason);
is_loss({nodedown, _}) -> true;
is_loss({'EXIT', Reason}) -> is_loss(Reason);
is_loss({exception, undef, _}) -> true;
is_loss({exception, Reason}) -> is_loss(Reason);
is_loss({undef, _}) -> true;
is_loss({Reason, Where}) when is_atom(Reason), is_tuple(Where) -> is_loss(Reason);
is_loss({Reason, Where}) when is_tuple(Reason), is_tuple(Where); is_tuple(Reason), is_list(Where) -> is_loss(Reason);
is_loss(Reason) -> lists:member(Reason, [nodedown, noconnection, noproc, undef, killed]).

%% Nothing is left over.
stray(Choice, N) ->
    receive
        Message ->
            ets:insert(soak_wrong, {stray, Choice, N, Message}),
            stray(Choice, N)
    after 0 -> ok
    end.

request(1, Node, N) -> gen_server:call({soak_echo, Node}, N, ?WAIT_MS);
request(2, Node, N) -> told(rpc:call(Node, ?MODULE, echo, [N], ?WAIT_MS));
request(3, Node, N) -> erpc:call(Node, ?MODULE, echo, [N], ?WAIT_MS);
request(4, Node, N) ->
    rpc:cast(Node, ?MODULE, echo, [N]),
    {echo, N};
request(5, Node, N) ->
    {Pid, Ref} = spawn_monitor(Node, ?MODULE, tell, [self(), N]),
    receive
        {Pid, Answer} -> down(Ref, Pid, Answer);
        {'DOWN', Ref, process, Pid, Reason} -> {lost, Reason}
    end;
request(6, Node, N) ->
    {Pid, Ref} = spawn_monitor(Node, ?MODULE, crash, [N]),
    %% Why it ended the worker may say.
    receive {'DOWN', Ref, process, Pid, Reason} -> told(Reason) end;
request(7, Node, N) ->
    Ref = monitor(process, {soak_echo, Node}),
    demonitor(Ref, [flush]),
    {echo, N};
request(8, Node, N) ->
    %% Mostly too late: the answer is nobody's.
    try gen_server:call({soak_echo, Node}, {later, N, rand:uniform(20)}, 5)
    catch exit:{timeout, _} -> {echo, N}
    end;
request(9, Node, N) ->
    Binary = binary:copy(<<N:64>>, 1 + rand:uniform(20000)),
    case gen_server:call({soak_echo, Node}, {large, N, Binary}, ?WAIT_MS) of
        {echo, N, Binary} -> {echo, N};
        {echo, Other, _} -> {other, Other}
    end;
request(10, Node, N) -> task(Node, N);
request(11, Node, N) ->
    Ids = [erpc:send_request(Node, ?MODULE, later, [{N, I}, rand:uniform(10)]) || I <- lists:seq(1, 5)],
    Answers = [catch erpc:receive_response(Id, ?WAIT_MS) || Id <- Ids],
    case [{echo, {N, I}} || I <- lists:seq(1, 5)] of
        Answers -> {echo, N};
        _ -> several(Answers, N)
    end;
request(12, Node, N) ->
    %% The tag is no reference of a monitor: nobody but time frees the right to answer, should the answer not come.
    Monitor = monitor(process, {soak_echo, Node}),
    Ref = make_ref(),
    {soak_echo, Node} ! {'$gen_call', {self(), Ref}, N},
    receive
        {Ref, Answer} ->
            demonitor(Monitor, [flush]),
            Answer;
        {'DOWN', Monitor, process, _, Reason} ->
            {lost, Reason}
    end;
request(13, Node, N) ->
    %% A process that is linked, and killed.
    process_flag(trap_exit, true),
    Pid = spawn_link(Node, timer, sleep, [60000]),
    exit(Pid, kill),
    Result = receive {'EXIT', Pid, Reason} -> Reason after ?WAIT_MS -> never end,
    process_flag(trap_exit, false),
    case Result of
        killed -> {echo, N};
        Other -> {lost, Other}
    end;
request(14, Node, N) ->
    {Answers, Bad} = rpc:multicall([Node], ?MODULE, echo, [N], ?WAIT_MS),
    case {Answers, Bad} of
        {[Answer], []} -> told(Answer);
        {[], [Node]} -> {lost, nodedown}
    end.

told({badrpc, Reason}) -> {lost, Reason};
told({echo, N}) -> {echo, N};
told(Other) ->
    case is_loss(Other) of
        true -> {lost, Other};
        false -> Other
    end.

%% The end of a process whose answer is here.
down(Ref, Pid, Answer) ->
    receive {'DOWN', Ref, process, Pid, _} -> Answer after ?WAIT_MS -> never end.

%% Some were lost with the connection; those that came are right.
several(Answers, N) ->
    Numbered = lists:zip(lists:seq(1, 5), Answers),
    case [A || {I, A} <- Numbered, A =/= {echo, {N, I}}, not is_lost_answer(A)] of
        [] -> {lost, noconnection};
        Wrong -> {others, Wrong}
    end.

is_lost_answer({'EXIT', Reason}) -> is_loss(Reason);
is_lost_answer(_) -> false.
