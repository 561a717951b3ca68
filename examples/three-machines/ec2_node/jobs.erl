%% What runs on ec2_node: an ordinary gen_server, which knows nothing of Sallyport.
-module(jobs).
-behaviour(gen_server).
-export([start/0, work/1, heard/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

start() ->
    {ok, _} = gen_server:start({local, jobs}, jobs, [], []),
    ok.

%% Started from my_desktop: works until it is told to end.
work(Name) ->
    receive
        {stop, Name} -> ok
    end.

%% The pid that my_desktop named last, and how often somebody delivered a result.
heard() ->
    gen_server:call(jobs, heard).

init([]) ->
    %% Results of bob_colo arrive under a name of their own.
    register(results, spawn_link(fun() -> results(jobs) end)),
    {ok, {undefined, 0}}.

handle_call(heard, _From, State) ->
    {reply, State, State};
handle_call({start, Job}, _From, State) ->
    {reply, {started, Job}, State};
handle_call(_Other, _From, State) ->
    {reply, {error, badarg}, State}.

handle_cast({result, _Job, _Value}, {Pid, Results}) ->
    {noreply, {Pid, Results + 1}};
handle_cast(_Other, State) ->
    {noreply, State}.

handle_info({here, Pid}, {_Before, Results}) ->
    {noreply, {Pid, Results}};
handle_info(_Other, State) ->
    {noreply, State}.

results(To) ->
    receive
        Result -> gen_server:cast(To, Result)
    end,
    results(To).
