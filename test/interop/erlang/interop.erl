%% The Erlang end of the interop tests. Takes expressions over a plain TCP connection to the test (not over distribution,
%% which is what is being tested), evaluates each in a process of its own, and sends back the value as text.
%% When that connection ends, so does this node: nothing is left behind, however the test ends.
-module(interop).
-behaviour(gen_server).
-export([start/0, server/1, server/2, box/0, box/1, do/2, take/1, take/2, idle/1, wait/1]).
-export([sleeper/0, stop_with/1, echo_args/2, raise/2, say/1]).
-export([dist_port/0, transfer/3, terms/0, changed/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(WAIT_MS, 15000).

%% Control

start() ->
    Port = list_to_integer(os:getenv("INTEROP_CONTROL_PORT")),
    Key = os:getenv("INTEROP_CONTROL_KEY"),
    spawn(fun() ->
        {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {packet, 4}, {active, false}, {nodelay, true}]),
        ok = gen_tcp:send(Socket, Key),
        loop(Socket)
    end).

loop(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, <<Id:32, Language, Text/binary>>} ->
            spawn(fun() -> evaluate(Socket, Id, Language, Text) end),
            loop(Socket);
        {error, _} ->
            erlang:halt(0, [{flush, false}])
    end.

evaluate(Socket, Id, Language, Text) ->
    {Failed, Result} =
        try {0, value(Language, Text)}
        catch Class:Reason -> {1, io_lib:format("~0tP", [{Class, Reason}, 60])}
        end,
    gen_tcp:send(Socket, [<<Id:32, Failed>>, unicode:characters_to_binary(Result)]).

value($E, Text) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text) ++ "."),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Expressions, erl_eval:new_bindings()),
    io_lib:format("~0tp", [Value]);
value($X, Text) ->
    {Value, _} = 'Elixir.Code':eval_string(Text),
    'Elixir.Kernel':inspect(Value, [{limit, infinity}, {printable_limit, infinity}, {width, infinity}]).

%% Helpers for expressions

%% Polls until the fun gives true.
wait(Fun) -> wait(Fun, erlang:monotonic_time(millisecond) + ?WAIT_MS).

wait(Fun, Until) ->
    case Fun() of
        true -> ok;
        Other ->
            case erlang:monotonic_time(millisecond) > Until of
                true -> exit({never, Other});
                false -> timer:sleep(10), wait(Fun, Until)
            end
    end.

%% A process that keeps its messages until they are taken, and runs funs.
box() -> box([]).
box(Options) -> spawn(fun() -> [process_flag(O, true) || O <- Options], box_loop(queue:new(), []) end).

box_loop(Queue, [{From, Ref} | Rest]) ->
    case queue:out(Queue) of
        {{value, M}, Left} -> From ! {Ref, M}, box_loop(Left, Rest);
        {empty, _} -> box_receive(Queue, [{From, Ref} | Rest])
    end;
box_loop(Queue, []) -> box_receive(Queue, []).

box_receive(Queue, Waiting) ->
    receive
        {'$do', From, Ref, Fun} -> From ! {Ref, catch Fun()}, box_loop(Queue, Waiting);
        {'$take', From, Ref} -> box_loop(Queue, Waiting ++ [{From, Ref}]);
        {'$untake', Ref} -> box_loop(Queue, [W || {_, R} = W <- Waiting, R =/= Ref]);
        {'$length', From, Ref} -> From ! {Ref, queue:len(Queue)}, box_loop(Queue, Waiting);
        M -> box_loop(queue:in(M, Queue), Waiting)
    end.

%% Runs a fun inside a box: for links and monitors that are to belong to it.
do(Box, Fun) ->
    Ref = monitor(process, Box),
    Box ! {'$do', self(), Ref, Fun},
    receive
        {Ref, Value} -> demonitor(Ref, [flush]), Value;
        {'DOWN', Ref, _, _, Reason} -> exit({box_down, Reason})
    after ?WAIT_MS -> exit(box_busy)
    end.

%% The next message of a box; waits for it.
take(Box) -> take(Box, ?WAIT_MS).
take(Box, Ms) ->
    Ref = make_ref(),
    Box ! {'$take', self(), Ref},
    receive {Ref, M} -> M after Ms -> Box ! {'$untake', Ref}, exit(nothing_came) end.

%% Messages that wait in a box.
idle(Box) ->
    Ref = make_ref(),
    Box ! {'$length', self(), Ref},
    receive {Ref, N} -> N after ?WAIT_MS -> exit(box_busy) end.

%% Functions to spawn and to call

sleeper() -> receive stop -> ok end.
stop_with(Reason) -> exit(Reason).
echo_args(To, Term) -> To ! {echoed, self(), Term}, sleeper().
raise(error, Reason) -> erlang:error(Reason);
raise(throw, Reason) -> throw(Reason);
raise(exit, Reason) -> exit(Reason).
say(Text) -> io:format("~ts", [Text]).

%% Large messages

%% The port this node's distribution listens on.
dist_port() ->
    [Local, _] = string:split(atom_to_list(node()), "@"),
    {port, Port, _} = erl_epmd:port_please(Local, {127, 0, 0, 1}),
    Port.

%% Calls Large with a big request, and Small again and again until the answer is here. The same process tells Large `begun`
%% right before, so that what the other side sees of Small between the two came while the request was on its way.
transfer(Large, Small, Request) ->
    Self = self(),
    spawn_link(fun() -> Large ! begun, Self ! {large, gen_server:call(Large, Request, 60000)} end),
    transfer_loop(Small, 0).

transfer_loop(Small, N) ->
    receive {large, Reply} -> {Reply, N}
    after 0 ->
        N = gen_server:call(Small, N, 60000),
        transfer_loop(Small, N + 1)
    end.

%% Terms

%% Those of terms() that do not come back from an echo service as they went.
changed(Echo) ->
    [{T, R} || T <- terms(), R <- [gen_server:call(Echo, T, 60000)], not same(T, R)].

same(T, R) when is_float(T) -> is_float(R) andalso <<T/float>> =:= <<R/float>>;
same(T, R) -> T =:= R.

terms() ->
    Powers = [1 bsl N || N <- lists:seq(0, 130) ++ [255, 256, 511, 1024, 2039, 2040, 2041, 4096, 100000]],
    Integers = lists:usort([S * (P + D) || P <- Powers, D <- [-1, 0, 1], S <- [1, -1]]),
    Floats = [0.0, -0.0, 1.0, -1.0, 1.5, 0.1, 1.0e300, -1.0e-300, 5.0e-324, 1.7976931348623157e308,
              9007199254740992.0, 9007199254740993.0, -9007199254740991.0, 4294967296.0],
    Atoms = ['', a, true, false, nil, null, undefined, 'with space', '\x{e5}\x{e4}\x{f6}', '\x{65e5}\x{672c}',
             '__proto__', constructor, list_to_atom(lists:duplicate(255, $x)), list_to_atom(lists:duplicate(255, 16#1f600))],
    Binaries = [<<>>, <<0>>, <<255, 254>>, <<"text">>, <<"\x{65e5}"/utf8>>, binary:copy(<<9>>, 70000)] ++
               [<<5:N>> || N <- lists:seq(1, 17)],
    Lists = [[], [1], "string", [1, 2 | 3], [[]], [[[[a]]]], [a | b], [256], lists:seq(0, 300), [$a, 1000],
             lists:duplicate(65535, 7), lists:duplicate(65536, 7), lists:duplicate(1000, {a, <<"b">>})],
    Tuples = [{}, {a}, {{}}, list_to_tuple(lists:seq(1, 255)), list_to_tuple(lists:seq(1, 256)),
              list_to_tuple(lists:seq(1, 70000))],
    Maps = [#{}, #{a => 1}, #{1 => a, 1.0 => b}, #{#{} => #{}}, #{<<"k">> => [#{1 => 2}]}, #{[] => {}, {} => []},
            #{0.0 => zero, self() => pid}, maps:from_list([{N, {N}} || N <- lists:seq(1, 500)])],
    X = 17,
    Identifiers = [self(), whereis(init), make_ref(), erlang:alias(), hd(erlang:ports()), list_to_pid("<0.99.7>"),
                   remote("88,119,3,\"a@b\",1:32,2:32,3:32"), remote("90,0:8,3:8,119,3,\"a@b\",7:32,1:32,2:32,3:32"),
                   remote("90,0:8,5:8,119,3,\"a@b\",7:32,1:32,2:32,3:32,4:32,5:32"),
                   remote("89,119,3,\"a@b\",1:32,2:32"), remote("120,119,3,\"a@b\",1:8,0:48,255:8,2:32")],
    Funs = [fun lists:map/2, fun erlang:'+'/2, fun ?MODULE:terms/0, fun() -> X end, fun(A, B) -> {X, A, B} end],
    Deep = lists:foldl(fun(_, T) -> [T] end, bottom, lists:seq(1, 250)),
    Deeper = lists:foldl(fun(N, T) -> {N, T} end, bottom, lists:seq(1, 250)),
    All = Integers ++ Floats ++ Atoms ++ Binaries ++ Lists ++ Tuples ++ Maps ++ Identifiers ++ Funs ++ [Deep, Deeper],
    All ++ [All].

%% An identifier of another node, from the bytes of its external form after 131.
remote(Bytes) ->
    {ok, Tokens, _} = erl_scan:string("<<131," ++ Bytes ++ ">>."),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Binary, _} = erl_eval:exprs(Expressions, []),
    binary_to_term(Binary).

%% A gen_server

server(Name) -> gen_server:start({local, Name}, ?MODULE, [], []).
server(Name, Options) -> gen_server:start({local, Name}, ?MODULE, Options, []).

init(_) -> {ok, []}.

handle_call({add, A, B}, _From, State) -> {reply, A + B, State};
handle_call({echo, Term}, _From, State) -> {reply, Term, State};
handle_call(self, _From, State) -> {reply, self(), State};
handle_call({size, Binary}, _From, State) -> {reply, {byte_size(Binary), erlang:md5(Binary)}, State};
handle_call({make, Bytes}, _From, State) -> {reply, binary:copy(<<7>>, Bytes), State};
handle_call({crash, Reason}, _From, _State) -> exit(Reason);
handle_call({sleep, Ms}, _From, State) -> timer:sleep(Ms), {reply, slept, State};
handle_call(never, _From, State) -> {noreply, State};
handle_call({later, Ms}, From, State) ->
    spawn(fun() -> timer:sleep(Ms), gen_server:reply(From, late) end),
    {noreply, State};
handle_call(received, _From, State) -> {reply, lists:reverse(State), State};
handle_call(forget, _From, _State) -> {reply, ok, []}.

handle_cast(Message, State) -> {noreply, [{cast, Message} | State]}.
handle_info(Message, State) -> {noreply, [{info, Message} | State]}.
