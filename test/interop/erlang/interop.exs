# The Elixir end of the interop tests: the same control loop as the Erlang one, in a node started by `elixir`.
source = System.fetch_env!("INTEROP_SOURCE") |> String.to_charlist()
{:ok, module, code} = :compile.file(source, [:binary])
{:module, ^module} = :code.load_binary(module, source, code)
:interop.start()
