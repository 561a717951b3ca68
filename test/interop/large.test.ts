import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import type { PolicyDocument } from "../../src/policy/document.ts";
import { Atom, isAtom, type Term, Tuple, tuple } from "../../src/term/types.ts";
import { FRAGMENTS } from "../../src/wire/flags.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { startRelay } from "./relay.ts";
import { eventually, failure, type Rig, TRANSPORTS, useRig } from "./rig.ts";

/** Funs and identifiers of third nodes pass only within a domain. */
const ONE_DOMAIN: PolicyDocument = {
  version: 1,
  node: "sally@127.0.0.1",
  domain: { name: "interop", everyPeer: "cookie" },
};

const BEAM = "beam@127.0.0.1";
const MIB = 1024 * 1024;
const LARGE = 60 * MIB;
/** A BEAM stops its senders at this many KiB, so that one of them does not fill the way before another one gets a turn. */
const SMALL_QUEUE = ["+zdbbl", "128"];
const a = (name: string) => new Atom(name);

/** Services that take and give large binaries and note the order of what comes. */
function serveLarge(node: Node): { readonly seen: string[] } {
  const seen: string[] = [];
  node.register(
    "large",
    {
      info: (message) => void (isAtom(message, "begun") && seen.push("begun")),
      call: (request) => {
        if (!(request instanceof Tuple)) return a("what");
        const [verb, value] = request.elements;
        seen.push("large");
        return isAtom(verb, "make") ? Buffer.alloc(value as number, 7) : sizeAndHash(value);
      },
    },
    { allow: "cookie" },
  );
  const small = (n: Term): Term => {
    seen.push("small");
    return n;
  };
  node.register("small", { call: small }, { allow: "cookie" });
  node.register("echo", { call: (request) => request }, { allow: "cookie" });
  return { seen };
}

function sizeAndHash(value: Term): Tuple {
  const bytes = value as Buffer;
  return tuple(bytes.length, createHash("md5").update(bytes).digest());
}

/** Sends `count` calls one after the other until `done`; resolves with how many came back before that. */
async function smallCallsUntil(node: Node, done: Promise<unknown>): Promise<number> {
  let over = false;
  const finished = done.then(() => {
    over = true;
  });
  let count = 0;
  for (;;) {
    await node.call({ name: "other", node: BEAM }, tuple(a("add"), count, 1));
    if (over) break;
    count++;
  }
  await finished;
  return count;
}

async function start(rig: Rig) {
  const [beam, node] = await Promise.all([
    rig.erlang("beam", { args: SMALL_QUEUE }),
    rig.sallyport("sally", { policy: ONE_DOMAIN }),
  ]);
  await beam.erl("interop:server(srv), interop:server(other)");
  await node.ping(BEAM);
  return { beam, node, ...serveLarge(node) };
}

for (const transport of TRANSPORTS) {
  describeWithErlang(`large messages over ${transport}`, () => {
    const t = useRig(transport, start);

    it("60 MiB from a BEAM arrive whole, and what it sends meanwhile is answered meanwhile", async () => {
      t.seen.length = 0;
      const request = `B = binary:copy(<<"0123456789abcdef">>, ${LARGE / 16}), `;
      const sent = "interop:transfer({large,'sally@127.0.0.1'}, {small,'sally@127.0.0.1'}, {put,B})";
      expect(await t.beam.erl(`${request} {R, _} = ${sent}, R =:= {byte_size(B), erlang:md5(B)}`)).toBe("true");
      const during = t.seen.slice(t.seen.indexOf("begun") + 1, t.seen.indexOf("large"));
      // Over TLS a BEAM does not let its other senders in between, towards another BEAM neither.
      if (transport === "tcp") expect(during.length).toBeGreaterThan(0);
    });

    it("60 MiB sent before there is a connection arrive whole: a BEAM does not fragment what waits for one", async () => {
      t.node.disconnect(BEAM);
      await eventually(async () => expect(await t.beam.erl("nodes(hidden)")).toBe("[]"));
      const put = `B = binary:copy(<<"x">>, ${LARGE}), gen_server:call({large,'sally@127.0.0.1'}, {put,B}, 60000) =:= {byte_size(B), erlang:md5(B)}`;
      expect(await t.beam.erl(put)).toBe("true");
      expect(t.node.peers()).toHaveLength(1);
    });

    it("60 MiB to a BEAM arrive whole, and small calls do not wait for them", async () => {
      const bytes = Buffer.alloc(LARGE, "0123456789abcdef");
      const large = t.node.call({ name: "srv", node: BEAM }, tuple(a("size"), bytes), { timeoutMs: 60_000 });
      const before = await smallCallsUntil(t.node, large);
      expect(await large).toEqual(sizeAndHash(bytes));
      expect(before).toBeGreaterThan(0);
    });

    it("60 MiB replies arrive both ways, while small calls are answered", async () => {
      const reply = t.node.call({ name: "srv", node: BEAM }, tuple(a("make"), LARGE), { timeoutMs: 60_000 });
      expect(await smallCallsUntil(t.node, reply)).toBeGreaterThan(0);
      expect(sizeAndHash(await reply)).toEqual(sizeAndHash(Buffer.alloc(LARGE, 7)));

      const ask = `interop:transfer({large,'sally@127.0.0.1'}, {small,'sally@127.0.0.1'}, {make,${LARGE}})`;
      expect(await t.beam.erl(`{R, N} = ${ask}, {R =:= binary:copy(<<7>>, ${LARGE}), N > 0}`)).toBe("{true,true}");
    });

    it("a 60 MiB result of rpc arrives, both ways", async () => {
      const result = await t.node.rpc(BEAM, "binary", "copy", [Buffer.from([7]), LARGE], { timeoutMs: 60_000 });
      expect((result as Buffer).length).toBe(LARGE);
      t.node.registerFunction({ module: "big", function: "make", arity: 1 }, ([n]) => Buffer.alloc(n as number, 7), {
        allow: "cookie",
      });
      const call = `erpc:call('sally@127.0.0.1', big, make, [${LARGE}])`;
      expect(await t.beam.erl(`${call} =:= binary:copy(<<7>>, ${LARGE})`)).toBe("true");
    });

    it("terms of every kind come back from an echo as they went", async () => {
      expect(await t.beam.erl("interop:changed({echo,'sally@127.0.0.1'})")).toBe("[]");
      expect(Number(await t.beam.erl("length(interop:terms())"))).toBeGreaterThan(800);
    });
  });
}

describeWithErlang("large messages without fragments", () => {
  const t = useRig("tcp", async (rig) => {
    const beam = await rig.erlang("beam");
    const distPort = Number(await beam.erl("interop:dist_port()"));
    const relay = await startRelay({ targetPort: () => distPort, withoutFlags: FRAGMENTS });
    rig.closes(() => relay.close());
    const node = await rig.sallyport("sally", { resolve: { [BEAM]: `127.0.0.1:${relay.port}` }, policy: ONE_DOMAIN });
    await beam.erl("interop:server(srv), interop:server(other)");
    await node.connect(BEAM);
    return { beam, node, relay, ...serveLarge(node) };
  });

  it("60 MiB arrive whole, both ways, as request and as reply", async () => {
    const bytes = Buffer.alloc(LARGE, "0123456789abcdef");
    const options = { timeoutMs: 60_000 };
    expect(await t.node.call({ name: "srv", node: BEAM }, tuple(a("size"), bytes), options)).toEqual(
      sizeAndHash(bytes),
    );
    const reply = await t.node.call({ name: "srv", node: BEAM }, tuple(a("make"), LARGE), options);
    expect((reply as Buffer).length).toBe(LARGE);
    const put = `B = binary:copy(<<"x">>, ${LARGE}), gen_server:call({large,'sally@127.0.0.1'}, {put,B}, 60000) =:= {byte_size(B), erlang:md5(B)}`;
    expect(await t.beam.erl(put)).toBe("true");
    const make = `gen_server:call({large,'sally@127.0.0.1'}, {make,${LARGE}}, 60000) =:= binary:copy(<<7>>, ${LARGE})`;
    expect(await t.beam.erl(make)).toBe("true");
    expect(t.relay.open).toBe(1);
  });

  it("terms of every kind come back from an echo as they went", async () => {
    expect(await t.beam.erl("interop:changed({echo,'sally@127.0.0.1'})")).toBe("[]");
  });
});

describeWithErlang("messages over a limit", () => {
  const t = useRig("tls", async (rig) => {
    const beam = await rig.erlang("beam");
    const limits = { maxMessageBytes: 2 * MIB, maxReassemblyBytes: 2 * MIB, maxQueuedBytes: 4 * MIB };
    const node = await rig.sallyport("sally", { limits });
    await beam.erl("interop:server(srv)");
    return { beam, node, ...serveLarge(node) };
  });

  it("a message larger than allowed ends that session with a named reason, and the next one works", async () => {
    const reasons: string[] = [];
    t.node.on("nodedown", (_peer, reason) => reasons.push(reason));
    await t.node.connect(BEAM);
    const call = `catch gen_server:call({large,'sally@127.0.0.1'}, {put, binary:copy(<<0>>, ${3 * MIB})}, 60000)`;
    expect(await t.beam.erl(call)).toMatch(/nodedown/);
    await eventually(() => expect(reasons).toHaveLength(1));
    expect(reasons[0]).toMatch(/TOO_LARGE|REASSEMBLY/);
    expect(await t.beam.erl("gen_server:call({echo,'sally@127.0.0.1'}, again)")).toBe("again");
  });

  it("a message that does not fit the send queue is refused here, and the session goes on", async () => {
    const error = await failure(t.node.call({ name: "srv", node: BEAM }, tuple(a("size"), Buffer.alloc(5 * MIB))));
    expect(error).toMatchObject({ code: "ERR_LIMIT", reason: "SEND_QUEUE_FULL" });
    expect(await t.node.call({ name: "srv", node: BEAM }, tuple(a("add"), 1, 1))).toBe(2);
  });
});
