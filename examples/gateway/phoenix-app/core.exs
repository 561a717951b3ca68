# The trusted back end: orders, and news of them for the web node.
defmodule Shop.Orders do
  use GenServer

  def start_link(_), do: GenServer.start_link(__MODULE__, %{1 => "paid", 2 => "sent"}, name: __MODULE__)

  @impl true
  def init(orders), do: {:ok, orders}

  @impl true
  def handle_call({:get, id}, _from, orders), do: {:reply, Map.fetch(orders, id), orders}
  def handle_call({:cancel, id}, _from, orders), do: {:reply, :ok, Map.delete(orders, id)}

  @impl true
  def handle_cast({:changed, id}, orders) do
    send({ShopWeb.Updates, :"web@web.example"}, {:order_changed, id})
    {:noreply, orders}
  end
end

{:ok, _} = Shop.Orders.start_link([])
