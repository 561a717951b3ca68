%% Lets `sallyport demo` type at ec2_node: one line is a number and expressions, as in the shell; the answer is one line
%% with that number. Ends the node with its standard input.
-module(demo_console).
-export([start/0]).

start() ->
    spawn(fun() ->
        process_flag(trap_exit, true),
        io:format("ready ~s~n", [erlang:system_info(otp_release)]),
        loop(erl_eval:new_bindings())
    end).

loop(Bindings) ->
    case io:get_line("") of
        Line when is_list(Line) -> loop(answer(string:to_integer(Line), Bindings));
        _ -> halt(0)
    end.

answer({Number, Text}, Bindings) ->
    {Value, Next} =
        try
            {ok, Tokens, _} = erl_scan:string(Text),
            {ok, Expressions} = erl_parse:parse_exprs(Tokens),
            {value, Result, Bound} = erl_eval:exprs(Expressions, Bindings),
            {Result, Bound}
        catch
            Class:Reason -> {{Class, Reason}, Bindings}
        end,
    io:format("@~b ~0tp~n", [Number, Value]),
    Next.
