%% The one function of ec2_node that my_desktop's rule `desk-look` is about. Elixir would call it Host.Stats.report/0.
-module('Elixir.Host.Stats').
-export([report/0]).

report() ->
    [{processes, erlang:system_info(process_count)}, {schedulers, erlang:system_info(schedulers)}].
