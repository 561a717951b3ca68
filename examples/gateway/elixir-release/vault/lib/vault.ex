defmodule Vault do
  @moduledoc "Secrets by name, and the two functions that a desktop may run."
  use Application

  @impl true
  def start(_type, _args) do
    children = [%{id: Vault.Store, start: {Agent, :start_link, [fn -> %{"door" => "1234"} end, [name: Vault.Store]]}}]
    Supervisor.start_link(children, strategy: :one_for_one, name: Vault.Supervisor)
  end
end

defmodule Vault.Api do
  @moduledoc "What the gateway's policy lets through."

  def get(key), do: Agent.get(Vault.Store, &Map.fetch(&1, key))
  def list, do: Agent.get(Vault.Store, &Map.keys/1)
  def put(key, value), do: Agent.update(Vault.Store, &Map.put(&1, key, value))
end
