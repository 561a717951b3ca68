%% A message broker, as far as an operator sees one: queues that can be listed, and a stop that only its own operators may give.
-module(broker).
-export([start/0, list_queues/0, status/0, purge/1, stop/0]).

start() ->
    ets:new(queues, [named_table, public]),
    ets:insert(queues, [{<<"mail">>, 3}, {<<"reports">>, 0}]),
    receive stop -> init:stop() end.

list_queues() -> lists:sort(ets:tab2list(queues)).

status() -> #{node => node(), queues => ets:info(queues, size)}.

purge(Queue) -> ets:insert(queues, {Queue, 0}).

stop() -> init:stop().
