%% A port mapper inside the node: whoever is dialled is reached at the port set last, so that one pair of nodes can be joined
%% directly, through a relay or through the gateway in turn. Names stay what they are.
-module(otp_bench_epmd).
-export([start_link/0, register_node/2, register_node/3, port_please/2, port_please/3]).
-export([address_please/3, listen_port_please/2, names/1, own_port/0, route/1]).

start_link() -> ignore.

register_node(Name, Port) -> register_node(Name, Port, inet).

register_node(_Name, Port, _Family) ->
    persistent_term:put({?MODULE, own}, Port),
    {ok, erlang:system_time(second) band 16#3fffffff + 4}.

listen_port_please(_Name, _Host) -> {ok, 0}.

address_please(_Name, _Host, _Family) -> {ok, {127, 0, 0, 1}}.

port_please(Name, Host) -> port_please(Name, Host, infinity).

port_please(_Name, _Host, _Timeout) ->
    case persistent_term:get({?MODULE, route}, undefined) of
        undefined -> noport;
        Port -> {port, Port, 6}
    end.

names(_Host) -> {error, address}.

%% Where this node listens.
own_port() -> persistent_term:get({?MODULE, own}).

%% Where all others are found from now on.
route(Port) -> persistent_term:put({?MODULE, route}, Port).
