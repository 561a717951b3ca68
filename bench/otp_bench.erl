%% The OTP reference: two nodes under inet_tls, commands by line on standard input, answers as `= {json}` lines.
%%
%% Choices, made in OTP's favour: the sender is a tight `Pid ! Binary` loop, the receiver a bare receive loop with an
%% off-heap message queue (no gen_server around one-way messages), calls go to an otherwise idle gen_server.
-module(otp_bench).
-behaviour(gen_server).
-export([server/0, client/0]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(CALL_BYTES, 32).

server() ->
    Sink = spawn(fun() ->
        process_flag(message_queue_data, off_heap),
        sink(0, 0)
    end),
    register(sink, Sink),
    {ok, _} = gen_server:start({local, echo}, ?MODULE, [], []),
    register(hole, spawn(fun hole/0)),
    serve(fun
        (["gc"]) ->
            [erlang:garbage_collect(P) || P <- processes()],
            timer:sleep(100),
            [erlang:garbage_collect(P) || P <- processes()],
            "{}";
        (["connections"]) ->
            ["{\"connections\":", integer_to_list(length(nodes(connected))), "}"];
        (["port"]) ->
            ["{\"port\":", integer_to_list(otp_bench_epmd:own_port()), "}"]
    end).

%% Never answers.
hole() ->
    receive
        {'$gen_call', _, _} -> hole()
    end.

init([]) -> {ok, none}.
handle_call({bytes, Size}, _From, State) -> {reply, binary:copy(<<7>>, Size), State};
handle_call(Request, _From, State) -> {reply, Request, State}.
handle_cast(_, State) -> {noreply, State}.

sink(Count, Bytes) ->
    receive
        Binary when is_binary(Binary) -> sink(Count + 1, Bytes + byte_size(Binary));
        %% A reference as tag: a gateway lets nothing else through as an answer.
        {count, From, Tag} ->
            From ! {Tag, {Count, Bytes}},
            sink(0, 0)
    end.

client() ->
    ok = net_kernel:monitor_nodes(true, #{node_type => all}),
    serve(fun
        (["connect", Node]) ->
            connect(list_to_atom(Node), 50),
            "{}";
        (["disconnect", Node]) ->
            disconnect(list_to_atom(Node)),
            "{}";
        (["oneway", Node, Size, Ms]) ->
            oneway(list_to_atom(Node), list_to_integer(Size), list_to_integer(Ms));
        (["latency", Node, Ms]) ->
            latency(list_to_atom(Node), list_to_integer(Ms));
        (["inflight", Node, Depth, Ms]) ->
            inflight(list_to_atom(Node), list_to_integer(Depth), list_to_integer(Ms));
        (["connects", Node, Ms]) ->
            connects(list_to_atom(Node), list_to_integer(Ms));
        (["route", Port]) ->
            otp_bench_epmd:route(list_to_integer(Port)),
            "{}";
        (["answers", Node, Size, Depth, Ms]) ->
            answers(list_to_atom(Node), list_to_integer(Size), list_to_integer(Depth), list_to_integer(Ms));
        (["hang", Node, Count]) ->
            hang(list_to_atom(Node), list_to_integer(Count));
        (["unhang"]) ->
            unhang()
    end).

serve(Handle) ->
    answer("{\"ready\":true}"),
    serve_next(Handle).

serve_next(Handle) ->
    case io:get_line("") of
        Line when is_list(Line) ->
            Answer =
                try
                    Handle(string:lexemes(Line, " \n"))
                catch
                    Class:Reason ->
                        io_lib:format("{\"error\":\"~p\"}", [Class]) ++ io_lib:format("~n~p", [Reason])
                end,
            answer(Answer),
            serve_next(Handle);
        _ ->
            halt(0)
    end.

answer(Text) -> io:put_chars(["= ", Text, "\n"]).

connect(Node, Tries) ->
    case net_kernel:connect_node(Node) of
        true ->
            ok;
        _ when Tries > 0 ->
            timer:sleep(2),
            connect(Node, Tries - 1)
    end.

disconnect(Node) ->
    drain_node_events(),
    erlang:disconnect_node(Node),
    receive
        {nodedown, Node, _} -> ok
    after 5000 -> ok
    end.

drain_node_events() ->
    receive
        {nodeup, _, _} -> drain_node_events();
        {nodedown, _, _} -> drain_node_events()
    after 0 -> ok
    end.

oneway(Node, Size, Ms) ->
    Sink = erpc:call(Node, erlang, whereis, [sink]),
    Payload = binary:copy(<<7>>, Size),
    PerLook = max(1, 16384 div Size),
    Start = erlang:monotonic_time(),
    Until = Start + erlang:convert_time_unit(Ms, millisecond, native),
    Sent = push(Sink, Payload, PerLook, Until, 0),
    Tag = make_ref(),
    Sink ! {count, self(), Tag},
    receive
        {Tag, {Sent, Bytes}} when Bytes =:= Sent * Size -> ok
    end,
    report(seconds_since(Start), [{"messages", Sent}, {"bytes", Sent * Size}]).

push(Sink, Payload, PerLook, Until, Sent) ->
    push_some(Sink, Payload, PerLook),
    case erlang:monotonic_time() < Until of
        true -> push(Sink, Payload, PerLook, Until, Sent + PerLook);
        false -> Sent + PerLook
    end.

push_some(_, _, 0) -> ok;
push_some(Sink, Payload, N) ->
    Sink ! Payload,
    push_some(Sink, Payload, N - 1).

latency(Node, Ms) ->
    Payload = binary:copy(<<7>>, ?CALL_BYTES),
    Until = erlang:monotonic_time() + erlang:convert_time_unit(Ms, millisecond, native),
    Samples = lists:sort(latency_loop({echo, Node}, Payload, Until, [])),
    Count = length(Samples),
    At = fun(Share) ->
        Nth = lists:nth(min(Count, trunc(Count * Share) + 1), Samples),
        erlang:convert_time_unit(Nth, native, nanosecond) / 1000
    end,
    io_lib:format("{\"p50\":~.1f,\"p99\":~.1f,\"samples\":~b}", [At(0.5), At(0.99), Count]).

latency_loop(Server, Payload, Until, Samples) ->
    Start = erlang:monotonic_time(),
    Payload = gen_server:call(Server, Payload, infinity),
    End = erlang:monotonic_time(),
    case End < Until of
        true -> latency_loop(Server, Payload, Until, [End - Start | Samples]);
        false -> [End - Start | Samples]
    end.

%% One process per open call, as an Erlang program would do it.
inflight(Node, Depth, Ms) ->
    Payload = binary:copy(<<7>>, ?CALL_BYTES),
    calls(Node, Payload, Payload, Depth, Ms).

%% The other direction: the answers are what is large.
answers(Node, Size, Depth, Ms) ->
    calls(Node, {bytes, Size}, binary:copy(<<7>>, Size), Depth, Ms).

calls(Node, Request, Answer, Depth, Ms) ->
    Self = self(),
    Start = erlang:monotonic_time(),
    Until = Start + erlang:convert_time_unit(Ms, millisecond, native),
    Caller = fun() -> Self ! {calls, self(), call_loop({echo, Node}, Request, Answer, Until, 0)} end,
    Pids = [spawn(Caller) || _ <- lists:seq(1, Depth)],
    Calls = lists:sum([
        receive
            {calls, Pid, N} -> N
        end
     || Pid <- Pids
    ]),
    report(seconds_since(Start), [{"calls", Calls}]).

call_loop(Server, Request, Answer, Until, Count) ->
    Answer = gen_server:call(Server, Request, infinity),
    case erlang:monotonic_time() < Until of
        true -> call_loop(Server, Request, Answer, Until, Count + 1);
        false -> Count + 1
    end.

%% Calls that are never answered, of one process that lives until `unhang`.
hang(Node, Count) ->
    Self = self(),
    Holder = spawn(fun() ->
        [gen_server:send_request({hole, Node}, N) || N <- lists:seq(1, Count)],
        %% Behind the others: all of them have arrived.
        Self ! {hanging, self(), catch gen_server:call({echo, Node}, ready, infinity)},
        receive
            stop -> ok
        end
    end),
    put(holder, Holder),
    receive
        {hanging, Holder, ready} -> "{}"
    end.

unhang() ->
    Holder = erase(holder),
    Monitor = monitor(process, Holder),
    Holder ! stop,
    receive
        {'DOWN', Monitor, process, Holder, _} -> "{}"
    end.

connects(Node, Ms) ->
    disconnect(Node),
    Start = erlang:monotonic_time(),
    Until = Start + erlang:convert_time_unit(Ms, millisecond, native),
    Count = connect_loop(Node, Until, 0),
    report(seconds_since(Start), [{"connects", Count}]).

connect_loop(Node, Until, Count) ->
    connect(Node, 1000),
    disconnect(Node),
    case erlang:monotonic_time() < Until of
        true -> connect_loop(Node, Until, Count + 1);
        false -> Count + 1
    end.

seconds_since(Start) ->
    erlang:convert_time_unit(erlang:monotonic_time() - Start, native, nanosecond) / 1.0e9.

report(Seconds, Counts) ->
    Fields = [io_lib:format(",\"~s\":~b", [Name, Value]) || {Name, Value} <- Counts],
    io_lib:format("{\"seconds\":~.6f~s}", [Seconds, Fields]).
