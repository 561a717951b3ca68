# What a Phoenix application does with its back end: calls from controllers, and news that channels push to browsers.
defmodule ShopWeb.Updates do
  use GenServer

  def start_link(_), do: GenServer.start_link(__MODULE__, [], name: __MODULE__)
  def seen, do: GenServer.call(__MODULE__, :seen)

  @impl true
  def init(seen), do: {:ok, seen}

  # Here a Phoenix application calls Endpoint.local_broadcast("orders", "changed", %{id: id}).
  @impl true
  def handle_info({:order_changed, id}, seen), do: {:noreply, [id | seen]}

  @impl true
  def handle_call(:seen, _from, seen), do: {:reply, Enum.reverse(seen), seen}
end

defmodule ShopWeb.OrderController do
  @core {Shop.Orders, :"core@core.example"}

  def show(id), do: GenServer.call(@core, {:get, id})
  def cancel(id), do: GenServer.call(@core, {:cancel, id})
end

{:ok, _} = ShopWeb.Updates.start_link([])
