import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { InboxOption, PairFilterOption } from "../../src/gateway/options.ts";
import type { Refusal } from "../../src/gateway/verdict.ts";
import { DIRECT, GatewayEnds, INSIDE, OUTSIDE, type Through } from "./gateway-ends.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { useRig } from "./rig.ts";

interface Denial {
  /** What the one that asked sees. */
  readonly seen: string;
  /** Why it is refused; undefined where it is changed and passes. */
  readonly why?: Refusal;
  /** The rule that the event names lets it pass. */
  readonly rule?: true;
  /** An option that lets it pass and that no event can name. */
  readonly option?: PairFilterOption;
}

const SILENCE: Denial = { seen: "nothing", why: "unasked", rule: true };
const WAITS: Denial = { seen: "waits", why: "unasked", rule: true };
const NO_INPUT = "{{error,enotsup},[]}";
const REJECTED = "{exit,{{gateway,reply_rejected},{gen_server,call,[{ops_srv,far},{run,'fun'}]}}}";
const REMOVED = "{process,{pid,far},{bad,removed_by_gateway}}";
const refusedCall = (name: string, request: string): string =>
  `{exit,{{sallyport_denied,<<"ID">>},{gen_server,call,[{${name},far},${request}]}}}`;

/** What the default rules refuse or change although an honest node does it (docs/gateway.md). */
const DENIALS: Readonly<Record<string, Denial>> = {
  atom_tagged_answer: SILENCE,
  bare_message: SILENCE,
  child_without_link_or_monitor: SILENCE,
  second_answer_under_one_reference: { ...SILENCE, seen: "[{{ref,here},1},nothing]" },
  event_subscription: { ...SILENCE, seen: "[nothing,nothing]" },
  message_to_a_name: { ...SILENCE, why: "operation" },
  message_to_an_alias_without_it: { seen: "nothing", why: "unasked" },
  rpc_sbcast: WAITS,
  rpc_multi_server_call: WAITS,
  rpc_server_call: WAITS,
  process_list_of_observer: SILENCE,
  supervised_event_handler: { seen: "{ok,nothing,[]}", why: "operation" },
  log_event_of_a_process: { ...SILENCE, why: "operation" },
  log_event_of_a_server: { seen: "nothing", why: "fun" },
  input_of_a_line: { seen: NO_INPUT, why: "io-request", rule: true },
  input_of_a_term: { seen: NO_INPUT, why: "io-request", rule: true },
  input_by_a_format: { seen: `{value,${NO_INPUT}}`, why: "io-request" },
  remote_shell: { seen: '{shell_ended,"Eshell"}', why: "io-request", rule: true },
  output_in_colours: { seen: '{ok,"?[31mred?[0m\\n"}', option: { leaders: "shell" } },
  output_with_a_width_from_arguments: { seen: "{error,[]}", why: "io-request" },
  output_options: { seen: NO_INPUT, why: "io-request" },
  answer_with_a_fun: { seen: REJECTED, why: "fun" },
  answer_of_a_third_node: { seen: REJECTED, why: "foreign" },
  result_with_a_fun: { seen: "{badrpc,{'EXIT',{gateway,reply_rejected}}}", why: "fun" },
  reason_with_a_fun: { seen: REMOVED },
  reason_of_a_third_node: { seen: REMOVED },
  third_node_in_a_call: {
    seen: "{exit,{{nodedown,far},{gen_server,call,[{ops_srv,far},{echo,{pid,a@b}}]}}}",
    why: "foreign",
  },
  third_node_in_a_spawn: { seen: "{error,{erpc,noconnection}}", why: "foreign" },
  reason_of_this_side: { seen: "{'EXIT',{pid,here},error}", option: { wholeReasons: true } },
  call_of_net_kernel: { seen: refusedCall("net_kernel", "longnames"), why: "policy", rule: true },
  call_of_auth: { seen: refusedCall("auth", "get_our_cookie"), why: "policy", rule: true },
  message_to_init: { seen: "{messages,[]}", why: "policy", rule: true },
};

/** What the inside node does of itself under the default rules; `VICTIM` is a process of the outside node that it was sent. */
const INITIATIVES: readonly (readonly [what: string, does: string, seen: string, event: string])[] = [
  ["ping", `net_adm:ping('${OUTSIDE}')`, "pang", "monitor net_kernel"],
  ["rpc:call", `rpc:call('${OUTSIDE}', erlang, node, [])`, "{badrpc,nodedown}", "spawn-request erpc:execute_call/4"],
  ["rpc:block_call", `rpc:block_call('${OUTSIDE}', erlang, node, [])`, "{badrpc,nodedown}", "monitor rex"],
  ["rpc:cast", `rpc:cast('${OUTSIDE}', erlang, halt, [])`, "true", "spawn-request erpc:execute_cast/3"],
  [
    "spawn_monitor",
    `{_, R} = spawn_monitor('${OUTSIDE}', erlang, halt, []), receive {'DOWN', R, _, _, Why} -> Why end`,
    "noconnection",
    "spawn-request erlang:halt/0",
  ],
  [
    "spawn_link",
    `process_flag(trap_exit, true), P = spawn_link('${OUTSIDE}', erlang, halt, []), receive {'EXIT', P, Why} -> Why end`,
    "noconnection",
    "spawn-request erlang:halt/0",
  ],
  [
    "a call of a name",
    `element(1, element(2, catch gen_server:call({victim, '${OUTSIDE}'}, hello)))`,
    `{nodedown,'${OUTSIDE}'}`,
    "monitor victim",
  ],
  ["multi_call", `gen_server:multi_call(['${OUTSIDE}'], victim, hello, 2000)`, `{[],['${OUTSIDE}']}`, "monitor victim"],
  ["a cast", `gen_server:cast({victim, '${OUTSIDE}'}, hello)`, "ok", "reg-send victim"],
  ["a message to a name", `{victim, '${OUTSIDE}'} ! hello`, "hello", "reg-send victim"],
  [
    "a monitor of a name",
    `R = monitor(process, {victim, '${OUTSIDE}'}), receive {'DOWN', R, _, _, Why} -> Why end`,
    "noconnection",
    "monitor victim",
  ],
  ["a call of a pid", "element(1, element(2, catch gen_server:call(VICTIM, hello, 100)))", "timeout", "send <"],
  [
    "a link",
    "process_flag(trap_exit, true), link(VICTIM), receive {'EXIT', _, Why} -> Why end",
    "noconnection",
    "link <",
  ],
  ["exit/2", "exit(VICTIM, kill)", "true", "exit2 <"],
  ["group_leader/2", "group_leader(self(), VICTIM)", "true", "group-leader <"],
];

/** An event's rule as an option. */
function optionOf(rule: string, target: string): PairFilterOption {
  if (rule === "granted") return { allow: { granted: [target] } };
  const option = new Function(`return { ${rule} }`)() as { inbox?: InboxOption } & PairFilterOption;
  return option.inbox === undefined ? option : { inbox: [option.inbox] };
}

describeWithErlang("designed denials of a gateway with the default rules", () => {
  const t = useRig("tcp", async (rig) => {
    const ends = await GatewayEnds.start(rig, "erlang", true);
    const { outside, inside, direct = inside } = ends;
    await ends.load("gateway_ops", [outside, inside, direct]);
    await Promise.all([inside, direct].map((node) => node.erl("gateway_ops:setup()")));
    return { ends };
  });
  const run = (name: string, far: string) => t.ends.outside.erl(`gateway_ops:run(${name}, '${far}')`);
  /** What the events of the refusals say would let them pass. */
  const named = new Map<string, PairFilterOption>();

  describe("are told as events", () => {
    let through: Through;
    beforeAll(async () => {
      through = await t.ends.through();
    });
    afterAll(() => through.close());

    it("and are all that the list has", () => {
      const source = readFileSync(new URL("erlang/gateway_ops.erl", import.meta.url), "utf8");
      const list = source.slice(source.indexOf("denials() -> [")).matchAll(/^ {4}\{(\w+), fun/gm);
      expect([...list].map(([, name]) => name)).toEqual(Object.keys(DENIALS));
    });

    it.each(Object.entries(DENIALS))("of the outside node, which commands: %s", async (name, { seen, why, rule }) => {
      const before = through.denied.length;
      expect((await run(name, INSIDE)).replace(/<<"[0-9A-Z]{12}">>/, '<<"ID">>')).toBe(seen);
      const events = through.denied.slice(before);
      if (why === undefined) return expect(events).toEqual([]);
      const event = events.find((one) => one.why === why && (one.rule !== undefined) === (rule === true));
      expect(event).toMatchObject({
        observed: false,
        by: seen.includes("sallyport") || /^third|init/.test(name) ? "commander" : "worker",
      });
      if (event?.rule !== undefined) named.set(name, optionOf(event.rule, event.target));
      if (event?.id !== undefined) expect(event.id).toMatch(/^[0-9A-Z]{12}$/);
    });

    it.each(INITIATIVES)("of the inside node: %s", async (_, does, seen, event) => {
      const { outside, inside } = t.ends;
      await outside.erl("whereis(victim) =/= undefined orelse register(victim, spawn(interop, sleeper, []))");
      await outside.erl(
        `{ops_srv, '${INSIDE}'} ! whereis(victim), gen_server:call({ops_srv, '${INSIDE}'}, {add, 1, 1})`,
      );
      const before = through.denied.length;
      const victim = "V = hd([P || {info, P} <- gen_server:call(ops_srv, take), is_pid(P)]), ";
      expect(await inside.erl(victim + does.replaceAll("VICTIM", "V"))).toBe(seen);
      await expect.poll(() => through.denied.length).toBeGreaterThan(before);
      const told = through.denied.slice(before).map(({ by, operation, target }) => `${by} ${operation} ${target}`);
      expect(told.some((line) => line.startsWith(`worker ${event}`))).toBe(true);
      const unharmed =
        "{is_process_alive(whereis(victim)), process_info(whereis(victim), [links, messages, monitored_by])}";
      // It may be watched, since the inside node was sent it; that ends later.
      await expect.poll(() => outside.erl(unharmed)).toBe("{true,[{links,[]},{messages,[]},{monitored_by,[]}]}");
      expect(await outside.erl("group_leader() =:= element(2, process_info(whereis(victim), group_leader))")).toBe(
        "true",
      );
    });

    it("leave every table empty", () => through.empty());
  });

  describe("pass by the rule that the event names", () => {
    const passable = Object.entries(DENIALS).filter(([, { rule, option }]) => rule === true || option !== undefined);

    it.each(passable)("%s", async (name, { option }) => {
      const filter = option ?? named.get(name);
      if (filter === undefined) throw new Error(`no event named a rule for ${name}`);
      const through = await t.ends.through({ filter });
      const [direct, filtered] = [await run(name, DIRECT), await run(name, INSIDE)];
      expect(filtered).toBe(direct);
      expect(filtered).not.toBe(DENIALS[name]?.seen);
      await through.empty();
      await through.close();
    });
  });
});
