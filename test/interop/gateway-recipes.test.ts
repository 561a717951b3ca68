import { execFile, spawn } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { createGateway } from "../../src/create-gateway.ts";
import type { GatewayOptions } from "../../src/gateway/options.ts";
import type { MessageEvent } from "../../src/gateway/pair-rules.ts";
import { parseGatewayConfig } from "../../src/gateway-run/gateway-config.ts";
import { type BeamNode, startElixir, startErlang } from "./erlang-node.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, eventually, type Rig, useRig } from "./rig.ts";

const run = promisify(execFile);
const INSIDE_COOKIE = "cookie-of-the-inside-alone";

/** One recipe at work: its folder, copied, with the cookies and certificates that its configuration names. */
interface Recipe {
  readonly dir: string;
  readonly messages: MessageEvent[];
}

async function startRecipe(rig: Rig, name: string, inside: string, certificate: string): Promise<Recipe> {
  const dir = join(rig.home, name);
  cpSync(join("examples/gateway", name), dir, { recursive: true });
  writeFileSync(join(dir, "inside.cookie"), INSIDE_COOKIE, { mode: 0o600 });
  writeFileSync(join(dir, "outside.cookie"), COOKIE, { mode: 0o600 });
  const issued = await rig.authority.issue(inside);
  copyFileSync(issued.certFile, join(dir, `${certificate}.crt`));
  copyFileSync(issued.keyFile, join(dir, `${certificate}.key`));
  copyFileSync(rig.authority.caFile, join(dir, "ca.crt"));
  const file = join(dir, "gateway.jsonc");
  const { options } = parseGatewayConfig(readFileSync(file, "utf8"), { file, environment: () => undefined });
  const messages: MessageEvent[] = [];
  const gateway = await createGateway({
    ...(options as GatewayOptions),
    onMessage: (event) => void messages.push(event),
  });
  rig.closes(() => gateway.close());
  return { dir, messages };
}

/** Arguments of a node that finds every other one at `port` of this machine, whatever its host part. */
function findsAt(rig: Rig, port: number, hosts: readonly string[]): string[] {
  const file = join(rig.home, `inetrc-${port}`);
  writeFileSync(file, `{host, {127,0,0,1}, ${JSON.stringify(hosts)}}.\n{lookup, [file, native]}.\n`);
  return ["-erl_epmd_port", String(port), "-kernel", "inetrc", JSON.stringify(file)];
}

const LISTENS_HERE = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"];

/** An inside node that listens at `port` of loopback and is in no port mapper. */
async function insideAt(rig: Rig, start: typeof startErlang, name: string, port: number): Promise<BeamNode> {
  const args = ["-erl_epmd_port", String(port), ...LISTENS_HERE];
  const node = await start({ name, cookie: INSIDE_COOKIE, epmdPort: rig.epmd.port, home: rig.home, args });
  rig.closes(() => node.kill());
  return node;
}

describeWithErlang("Recipe: an Elixir release", () => {
  const VAULT = "vault@vault.example";
  const t = useRig("tls", async (rig) => {
    const recipe = await startRecipe(rig, "elixir-release", VAULT, "vault");
    const cwd = join(recipe.dir, "vault");
    const home = join(rig.home, "mix");
    mkdirSync(home);
    const env = { ...process.env, HOME: home, MIX_HOME: home, MIX_ENV: "prod", RELEASE_COOKIE: INSIDE_COOKIE };
    await run("mix", ["release", "--quiet"], { cwd, env });
    const program = join(cwd, "_build/prod/rel/vault/bin/vault");
    const release = spawn(program, ["start"], { env, stdio: "ignore" });
    rig.closes(() => release.kill("SIGKILL"));
    const desktop = await rig.erlang("desktop@desktop.example", {
      args: [...findsAt(rig, 9400, ["vault.example"]), "-dist_listen", "false"],
    });
    const own = (code: string) => run(program, ["rpc", code], { env });
    await eventually(async () => expect(await desktop.erl(`net_adm:ping('${VAULT}')`)).toBe("pong"));
    return { ...recipe, desktop, own };
  });

  it("is read by the functions that its policy names, written by one in audit mode, and runs nothing else", async () => {
    const { desktop, messages } = t;
    const api = (fn: string, args: string) => desktop.erl(`rpc:call('${VAULT}', 'Elixir.Vault.Api', ${fn}, ${args})`);
    expect(await api("list", "[]")).toBe('[<<"door">>]');
    expect(await api("put", '[<<"gate">>, <<"5678">>]')).toBe("ok");
    expect(await api("get", '[<<"gate">>]')).toBe('{ok,<<"5678">>}');
    expect(await desktop.erl(`rpc:call('${VAULT}', os, cmd, ["id"])`)).toMatch(/badrpc.*eperm/);
    expect(await desktop.erl(`catch gen_server:call({'Elixir.Vault.Store', '${VAULT}'}, get)`)).toMatch(/EXIT/);
    expect(messages.some((event) => event.kind === "denied" && event.why === "policy")).toBe(true);
  });

  it("keeps its own tools, which find it on this machine", async () => {
    expect((await t.own("IO.puts(inspect({node(), Vault.Api.list()}))")).stdout).toContain(`:"${VAULT}"`);
  });
});

describeWithErlang("Recipe: a node of a cluster", () => {
  const BROKER = "rabbit@queue1";
  const t = useRig("tls", async (rig) => {
    const recipe = await startRecipe(rig, "cluster-node", BROKER, "queue1");
    const broker = await insideAt(rig, startErlang, BROKER, 9406);
    const source = JSON.stringify(join(recipe.dir, "broker.erl"));
    await broker.erl(
      `{ok, M, C} = compile:file(${source}, [binary]), {module, M} = code:load_binary(M, "broker.erl", C), ` +
        "P = spawn(fun broker:start/0), register(broker, P)",
    );
    const ctl = await rig.erlang("ctl@admin", {
      args: [...findsAt(rig, 9410, ["queue1"]), "-dist_listen", "false"],
    });
    return { ...recipe, broker, ctl };
  });

  it("is looked at by operators of others, who do nothing else, and is told who looked", async () => {
    const { ctl, broker, messages } = t;
    const call = (module: string, fn: string, args: string) =>
      ctl.erl(`rpc:call('${BROKER}', ${module}, ${fn}, ${args})`);
    expect(await call("broker", "list_queues", "[]")).toBe('[{<<"mail">>,3},{<<"reports">>,0}]');
    expect(await call("broker", "status", "[]")).toContain("queues => 2");
    for (const [module, fn, args] of [
      ["broker", "stop", "[]"],
      ["broker", "purge", '[<<"mail">>]'],
      ["os", "cmd", '["id"]'],
    ] as const) {
      expect(await call(module, fn, args)).toMatch(/badrpc.*eperm/);
    }
    await ctl.erl(
      `catch exit(rpc:call('${BROKER}', erlang, whereis, [broker]), kill), {broker, '${BROKER}'} ! stop, ok`,
    );
    expect(await broker.erl('{is_process_alive(whereis(broker)), ets:lookup(queues, <<"mail">>)}')).toBe(
      '{true,[{<<"mail">>,3}]}',
    );
    const commands = messages.flatMap((event) =>
      event.kind === "command" ? [`${event.outside} ${event.target}`] : [],
    );
    expect(commands).toContain("ctl@admin broker:list_queues/0");
  });
});

describeWithErlang("Recipe: a Phoenix application", () => {
  const CORE = "core@core.example";
  const t = useRig("tls", async (rig) => {
    const recipe = await startRecipe(rig, "phoenix-app", CORE, "core");
    const core = await insideAt(rig, startElixir, CORE, 9407);
    const web = await rig.elixir("web@web.example", {
      args: [...findsAt(rig, 9411, ["core.example"]), "-dist_listen", "false"],
    });
    const load = (node: BeamNode, file: string) =>
      node.elixir(`Code.eval_file(${JSON.stringify(join(recipe.dir, file))}); :ok`);
    await load(core, "core.exs");
    await load(web, "web.exs");
    return { ...recipe, core, web };
  });

  it("shows an order, and can neither cancel it nor run anything on the back end", async () => {
    const { web } = t;
    expect(await web.elixir("ShopWeb.OrderController.show(1)")).toBe('{:ok, "paid"}');
    expect(
      await web.elixir("catch_exit = try do ShopWeb.OrderController.cancel(1) catch :exit, _ -> :refused end"),
    ).toBe(":refused");
    expect(await web.elixir(`match?({:badrpc, _}, :rpc.call(:"${CORE}", System, :cmd, ["id", []]))`)).toBe("true");
    expect(await web.elixir("ShopWeb.OrderController.show(1)")).toBe('{:ok, "paid"}');
  });

  it("hears of changed orders, in the form that the gateway knows and in no other", async () => {
    const { core, web } = t;
    await core.elixir("GenServer.cast(Shop.Orders, {:changed, 2}); :ok");
    await eventually(async () => expect(await web.elixir("ShopWeb.Updates.seen()")).toBe("[2]"));
    await core.elixir('send({ShopWeb.Updates, :"web@web.example"}, {:order_changed, fn -> :boom end}); :ok');
    await core.elixir("GenServer.cast(Shop.Orders, {:changed, 1}); :ok");
    await eventually(async () => expect(await web.elixir("ShopWeb.Updates.seen()")).toBe("[2, 1]"));
  });
});
