defmodule GatewayOps do
  @moduledoc """
  What `gateway_ops.erl` is, in Elixir: operations that one node does on another, each with an outcome that does not depend on
  the run. `run/2` is asked on the node that commands, `setup/0` was run on the other.
  """

  @far_ms 8_000
  @quiet_ms 60

  defmodule Server do
    use GenServer
    def init(state), do: {:ok, state}
    def handle_call({:add, a, b}, _from, state), do: {:reply, a + b, state}
    def handle_call({:echo, term}, _from, state), do: {:reply, term, state}
    def handle_call(:pid, _from, state), do: {:reply, self(), state}
    def handle_call(:never, _from, state), do: {:noreply, state}
    def handle_call({:raise, text}, _from, _state), do: raise(ArgumentError, text)

    def handle_call({:sleep, ms}, _from, state) do
      Process.sleep(ms)
      {:reply, :slept, state}
    end

    def handle_call({:other, ms}, from, state) do
      spawn(fn -> Process.sleep(ms) && GenServer.reply(from, :from_another) end)
      {:noreply, state}
    end

    def handle_call(:take, _from, state), do: {:reply, Enum.reverse(state), []}
    def handle_call(:continued, _from, state), do: {:reply, :yes, state, {:continue, :later}}
    def handle_continue(:later, state), do: {:noreply, [:continued | state]}
    def handle_cast(message, state), do: {:noreply, [{:cast, message} | state]}
    def handle_info(message, state), do: {:noreply, [{:info, message} | state]}
  end

  def setup do
    me = self()

    keeper =
      spawn(fn ->
        {:ok, _} = GenServer.start_link(Server, [], name: :ops_srv)
        {:ok, _} = Agent.start_link(fn -> 1 end, name: :ops_agent)
        {:ok, _} = Task.Supervisor.start_link(name: :ops_tasks)
        {:ok, _} = DynamicSupervisor.start_link(name: :ops_dynamic)
        {:ok, _} = Supervisor.start_link([{Agent, fn -> 0 end}], strategy: :one_for_one, name: :ops_sup)
        {:ok, _} = Registry.start_link(keys: :duplicate, name: :ops_registry)
        send(me, {self(), :ready})
        Process.sleep(:infinity)
      end)

    receive do
      {^keeper, :ready} -> :ok
    end
  end

  def start_agent, do: Agent.start(fn -> 0 end)
  def say(text), do: IO.puts(text)
  def told(ref, parent), do: send(parent, {ref, :told})
  def fails(text), do: raise(ArgumentError, text)

  def names, do: Enum.map(operations(), fn {name, _} -> name end)

  def run(name, far) do
    operation = Keyword.fetch!(operations(), name)
    {pid, ref} = spawn_monitor(fn -> exit({:outcome, operation.(far)}) end)

    receive do
      {:DOWN, ^ref, _, ^pid, {:outcome, outcome}} -> :gateway_ops.normal(outcome, far)
      {:DOWN, ^ref, _, ^pid, reason} -> {:ended, :gateway_ops.normal(reason, far)}
    after
      30_000 -> :hangs
    end
  end

  defp next do
    receive do
      message -> message
    after
      @far_ms -> :nothing
    end
  end

  defp down(ref) do
    receive do
      {:DOWN, ^ref, _, what, reason} -> {what, reason}
    after
      @far_ms -> :nothing
    end
  end

  defp quiet do
    receive do
      message -> {:not_quiet, message}
    after
      @quiet_ms -> :quiet
    end
  end

  defp caught(fun) do
    {:value, fun.()}
  rescue
    error -> {:raised, error}
  catch
    kind, reason -> {kind, reason}
  end

  # In a process of its own, that does not end with what it is linked to.
  defp outcome(fun) do
    {_, ref} = spawn_monitor(fn -> exit(caught(fun)) end)
    down(ref)
  end

  defp printed(fun) do
    {:ok, device} = StringIO.open("")
    before = Process.group_leader()
    Process.group_leader(self(), device)
    result = fun.()
    Process.group_leader(self(), before)
    {:ok, {_, text}} = StringIO.close(device)
    {result, text}
  end

  # What it came to say, or that it ended before.
  defp iex_said(collector, pid, ref) do
    receive do
      {:DOWN, ^ref, _, _, reason} -> reason
    after
      10 ->
        if :gateway_ops.printed(collector) |> to_string() =~ "{42, :found}" do
          Process.exit(pid, :kill)
          :said
        else
          iex_said(collector, pid, ref)
        end
    end
  end

  defp taken(far), do: GenServer.call({:ops_srv, far}, :take)
  defp pid(far), do: GenServer.call({:ops_srv, far}, :pid)
  defp tasks(far), do: {:ops_tasks, far}

  defp far_server(far) do
    {:ok, pid} = :erpc.call(far, GenServer, :start, [Server, []])
    pid
  end

  def operations do
    [
      node_ping: &Node.ping/1,
      node_connect: &Node.connect/1,
      node_list: &(&1 in Node.list(:connected)),
      node_spawn: fn far ->
        {me, ref} = {self(), make_ref()}
        Node.spawn(far, fn -> send(me, {ref, node()}) end)
        next()
      end,
      node_spawn_link: fn far ->
        Process.flag(:trap_exit, true)
        Node.spawn_link(far, fn -> exit({:shutdown, :linked}) end)
        next()
      end,
      node_spawn_monitor: fn far ->
        {_, ref} = Node.spawn_monitor(far, fn -> exit(:watched) end)
        down(ref)
      end,
      node_spawn_raises: fn far ->
        {_, ref} = Node.spawn_monitor(far, __MODULE__, :fails, ["there"])
        down(ref)
      end,
      call_by_name: fn far -> GenServer.call({:ops_srv, far}, {:add, 1, 2}) end,
      call_by_pid: fn far -> GenServer.call(pid(far), {:add, 3, 4}) end,
      call_with_terms: fn far ->
        terms = [%{a: 1, b: [<<1::3>>, 1.5]}, "text é", 'list', {:ok, nil}, MapSet.new([1]), 1..3, ~D[2024-02-29], %URI{}]
        GenServer.call({:ops_srv, far}, {:echo, terms}) == terms
      end,
      call_timeout: fn far ->
        {caught(fn -> GenServer.call({:ops_srv, far}, {:sleep, 60}, 10) end), GenServer.call({:ops_srv, far}, {:echo, 1}), quiet()}
      end,
      call_no_name: fn far -> caught(fn -> GenServer.call({:ops_nobody, far}, 1) end) end,
      call_raises: fn far ->
        server = far_server(far)
        caught(fn -> GenServer.call(server, {:raise, "in the server"}) end)
      end,
      call_answered_by_another: fn far -> GenServer.call({:ops_srv, far}, {:other, 10}) end,
      call_continued: fn far -> {GenServer.call({:ops_srv, far}, :continued), taken(far)} end,
      cast: fn far -> {GenServer.cast({:ops_srv, far}, :one), taken(far)} end,
      multi_call: fn far -> GenServer.multi_call([far], :ops_srv, {:add, 1, 1}) end,
      multi_call_of_both: fn far -> GenServer.multi_call([node(), far], :ops_nobody, 1, 1000) |> elem(0) end,
      abcast: fn far -> {GenServer.abcast([far], :ops_srv, :all), taken(far)} end,
      stop: fn far ->
        server = far_server(far)
        ref = Process.monitor(server)
        {GenServer.stop(server, :shutdown), down(ref)}
      end,
      whereis: fn far -> GenServer.whereis({:ops_srv, far}) end,
      send_to_name: fn far -> {send({:ops_srv, far}, :hello), taken(far)} |> elem(1) end,
      send_nosuspend: fn far -> {Process.send({:ops_srv, far}, :hi, [:nosuspend]), taken(far)} end,
      agent_get: fn far -> Agent.get({:ops_agent, far}, & &1) end,
      agent_get_mfa: fn far -> Agent.get({:ops_agent, far}, Kernel, :+, [1]) end,
      agent_update: fn far -> {Agent.update({:ops_agent, far}, &(&1 + 1)), Agent.update({:ops_agent, far}, &(&1 - 1))} end,
      agent_get_and_update: fn far -> Agent.get_and_update({:ops_agent, far}, fn n -> {{n, node()}, n} end) end,
      agent_cast: fn far -> {Agent.cast({:ops_agent, far}, & &1), Agent.get({:ops_agent, far}, & &1)} end,
      agent_raises: fn far ->
        {:ok, agent} = :erpc.call(far, __MODULE__, :start_agent, [])
        {ended, _} = caught(fn -> Agent.get(agent, fn _ -> raise "in the agent" end) end)
        {ended, :erpc.call(far, Process, :alive?, [agent])}
      end,
      agent_stop: fn far ->
        {:ok, agent} = :erpc.call(far, __MODULE__, :start_agent, [])
        Agent.stop(agent)
      end,
      task_async: fn far -> Task.Supervisor.async(tasks(far), fn -> {node(), 42} end) |> Task.await() end,
      task_async_mfa: fn far -> Task.Supervisor.async(tasks(far), Kernel, :+, [1, 2]) |> Task.await() end,
      task_async_fails: fn far -> outcome(fn -> Task.Supervisor.async(tasks(far), fn -> exit(:bad) end) |> Task.await() end) end,
      task_nolink: fn far -> Task.Supervisor.async_nolink(tasks(far), fn -> node() end) |> Task.await() end,
      task_nolink_raises: fn far ->
        task = Task.Supervisor.async_nolink(tasks(far), __MODULE__, :fails, ["in the task"])
        down(task.ref)
      end,
      task_yield: fn far ->
        task = Task.Supervisor.async_nolink(tasks(far), Process, :sleep, [30])
        {Task.yield(task, 1), Task.yield(task, @far_ms)}
      end,
      task_yield_many: fn far ->
        tasks = for n <- 1..3, do: Task.Supervisor.async_nolink(tasks(far), fn -> n * n end)
        for {_, result} <- Task.yield_many(tasks, @far_ms), do: result
      end,
      task_await_many: fn far -> for(n <- 1..20, do: Task.Supervisor.async(tasks(far), fn -> n end)) |> Task.await_many() |> Enum.sum() end,
      task_await_timeout: fn far ->
        outcome(fn -> Task.Supervisor.async(tasks(far), Process, :sleep, [5_000]) |> Task.await(20) end) |> elem(1) |> elem(0)
      end,
      task_shutdown: fn far ->
        task = Task.Supervisor.async_nolink(tasks(far), Process, :sleep, [:infinity])
        {Task.shutdown(task, 500), quiet()}
      end,
      task_brutal_kill: fn far ->
        task = Task.Supervisor.async_nolink(tasks(far), Process, :sleep, [:infinity])
        {Task.shutdown(task, :brutal_kill), quiet()}
      end,
      task_ignored: fn far ->
        task = Task.Supervisor.async_nolink(tasks(far), fn -> Process.sleep(10) end)
        {Task.ignore(task), quiet()}
      end,
      task_start_child: fn far ->
        {me, ref} = {self(), make_ref()}
        {:ok, pid} = Task.Supervisor.start_child(tasks(far), fn -> send(me, {ref, node()}) end)
        {pid, next()}
      end,
      task_children: fn far -> Task.Supervisor.children(tasks(far)) |> is_list() end,
      task_of_killed_owner: fn far ->
        me = self()

        owner =
          spawn(fn ->
            task = Task.Supervisor.async(tasks(far), Process, :sleep, [:infinity])
            send(me, {:task, task.pid})
            Process.sleep(:infinity)
          end)

        {:task, task} = next()
        ref = Process.monitor(task)
        Process.exit(owner, :kill)
        down(ref)
      end,
      async_stream: fn far -> Task.Supervisor.async_stream(tasks(far), 1..20, fn n -> n * 2 end, max_concurrency: 4) |> Enum.to_list() end,
      async_stream_nolink: fn far ->
        Task.Supervisor.async_stream_nolink(tasks(far), [1, 0, 2], Kernel, :div, [1], ordered: true)
        |> Enum.map(fn
          {:ok, value} -> value
          {:exit, {%{__struct__: struct}, _}} -> struct
          {:exit, {reason, _}} -> reason
        end)
      end,
      async_stream_timeout: fn far ->
        Task.Supervisor.async_stream(tasks(far), [1, 400], Process, :sleep, [], timeout: 100, on_timeout: :kill_task) |> Enum.to_list()
      end,
      async_stream_halted: fn far ->
        {Task.Supervisor.async_stream(tasks(far), 1..50, fn n -> n end, max_concurrency: 2) |> Enum.take(3), quiet()}
      end,
      dynamic_start_child: fn far ->
        s = {:ops_dynamic, far}
        {:ok, child} = DynamicSupervisor.start_child(s, {Agent, fn -> node() end})
        [
          Agent.get(child, & &1),
          DynamicSupervisor.count_children(s),
          DynamicSupervisor.which_children(s) |> length(),
          DynamicSupervisor.terminate_child(s, child),
          DynamicSupervisor.terminate_child(s, child)
        ]
      end,
      supervisor_children: fn far -> {Supervisor.which_children({:ops_sup, far}), Supervisor.count_children({:ops_sup, far})} end,
      supervisor_restart: fn far ->
        s = {:ops_sup, far}
        {Supervisor.terminate_child(s, Agent), Supervisor.restart_child(s, Agent), Supervisor.restart_child(s, Agent)}
      end,
      registry: fn far -> {:erpc.call(far, Registry, :lookup, [:ops_registry, :key]), :erpc.call(far, Registry, :count, [:ops_registry])} end,
      monitor: fn far ->
        {:ok, agent} = :erpc.call(far, __MODULE__, :start_agent, [])
        ref = Process.monitor(agent)
        Process.exit(agent, :kill)
        down(ref)
      end,
      monitor_no_name: fn far -> down(Process.monitor({:ops_nobody, far})) end,
      demonitor: fn far -> {Process.demonitor(Process.monitor(pid(far)), [:flush]), quiet()} end,
      link_and_exit: fn far ->
        Process.flag(:trap_exit, true)
        pid = Node.spawn(far, Process, :sleep, [:infinity])
        Process.link(pid)
        Process.exit(pid, {:shutdown, :asked})
        next()
      end,
      unlink: fn far ->
        pid = Node.spawn(far, Process, :sleep, [:infinity])
        {Process.link(pid), Process.unlink(pid), Process.exit(pid, :kill), quiet()}
      end,
      process_alias: fn far ->
        ref = :erlang.alias()
        Node.spawn(far, fn -> send(ref, {ref, :by_alias}) end)
        {next(), :erlang.unalias(ref)}
      end,
      erpc_call: fn far -> :erpc.call(far, fn -> Enum.map([1, 2], &(&1 + 1)) end) end,
      erpc_raises: fn far -> caught(fn -> :erpc.call(far, __MODULE__, :fails, ["by erpc"]) end) end,
      erpc_multicall: fn far -> :erpc.multicall([far, node()], Kernel, :node, []) end,
      rpc_call: fn far -> :rpc.call(far, String, :upcase, ["text"]) end,
      rpc_raises: fn far -> :rpc.call(far, __MODULE__, :fails, ["by rpc"]) end,
      rpc_throws: fn far -> :rpc.call(far, :erlang, :throw, [:ball]) end,
      eval: fn far -> :erpc.call(far, Code, :eval_string, ["x = 1; {x, node()}"]) end,
      module_compiled_there: fn far ->
        [{module, code}] = Code.compile_string("defmodule GatewayMade do\n def hello, do: :from_made_code\nend")
        loaded = :erpc.call(far, :code, :load_binary, [module, 'made.ex', code])
        said = :erpc.call(far, module, :hello, [])
        :erpc.call(far, :code, :delete, [module])
        {loaded, said, :erpc.call(far, :code, :purge, [module])}
      end,
      process_info: fn far -> :erpc.call(far, Process, :info, [pid(far), :registered_name]) end,
      sys_get_state: fn far -> :sys.get_state({:ops_srv, far}) end,
      application: fn far -> {:erpc.call(far, Application, :ensure_all_started, [:eex]), :erpc.call(far, Application, :stop, [:eex])} end,
      application_env: fn far ->
        :erpc.call(far, Application, :put_env, [:kernel, :ops_key, 1])
        {:erpc.call(far, Application, :get_env, [:kernel, :ops_key]), :erpc.call(far, Application, :delete_env, [:kernel, :ops_key])}
      end,
      file: fn far ->
        name = "ops_#{System.unique_integer([:positive])}"

        result =
          for {f, a} <- [write: [name, "one\ntwo\n"], read: [name], rm: [name], read: [name]], do: :erpc.call(far, File, f, a)

        result
      end,
      file_device: fn far ->
        name = "ops_#{System.unique_integer([:positive])}"
        box = :erpc.call(far, :interop, :box, [])
        {:ok, file} = :interop.do(box, fn -> File.open(name, [:read, :write, :utf8]) end)
        result = {IO.puts(file, "line é"), :file.position(file, 0), IO.read(file, :line), IO.read(file, :line), File.close(file)}
        Process.exit(box, :kill)
        {result, :erpc.call(far, File, :rm, [name])}
      end,
      output_puts: fn far -> printed(fn -> :erpc.call(far, IO, :puts, ["über 日本\n\tline"]) end) end,
      output_inspect: fn far -> printed(fn -> :erpc.call(far, fn -> IO.inspect(%{a: [1, "two"]}, label: "seen") end) end) end,
      output_of_spawn: fn far ->
        printed(fn ->
          {_, ref} = Node.spawn_monitor(far, __MODULE__, :say, ["spawned"])
          down(ref)
        end)
      end,
      output_write: fn far -> printed(fn -> :rpc.call(far, IO, :write, [["io", ?d, [" data"]]]) end) end,
      output_binwrite: fn far -> printed(fn -> :rpc.call(far, IO, :binwrite, ["bytes\n"]) end) end,
      io_gets: fn far ->
        :gateway_ops.with_input(["typed\n"], fn _ -> :erpc.call(far, IO, :gets, ["> "]) end)
      end,
      iex_of_far: fn far ->
        {:ok, _} = :erpc.call(far, Application, :ensure_all_started, [:iex])

        :gateway_ops.with_input(["x = 40 + 2\n", "{x, :found}\n"], fn collector ->
          {pid, ref} = Node.spawn_monitor(far, IEx.Server, :run, [[prefix: "ops", on_eof: :stop_evaluator]])
          iex_said(collector, pid, ref)
        end)
        |> elem(0)
      end,
      twenty_mb: fn far ->
        big = :binary.copy("0123456789abcdef", 1_250_000)
        GenServer.call({:ops_srv, far}, {:echo, big}, 60_000) == big
      end
    ]
  end
end
