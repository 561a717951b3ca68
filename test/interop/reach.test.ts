import { expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { Atom, Pid } from "../../src/term/types.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, eventually, failure, type Rig, TRANSPORTS, useRig } from "./rig.ts";

for (const transport of TRANSPORTS) {
  describeWithErlang(`reaching each other over ${transport}`, () => {
    const t = useRig(transport, async (rig) => {
      const [beam, node] = await Promise.all([rig.erlang("beam"), rig.sallyport("sally")]);
      const events: string[] = [];
      node.on("nodeup", (peer) => events.push(`up ${peer.name}`));
      node.on("nodedown", (peer, reason) => events.push(`down ${peer.name} ${reason}`));
      return { beam, node, events };
    });

    it("a Sallyport node pings a BEAM, which counts it among its hidden nodes", async () => {
      const { peer, rttMs } = await t.node.ping("beam@127.0.0.1");
      expect(peer).toMatchObject({
        name: "beam@127.0.0.1",
        protocol: "otp",
        assurance: transport === "tls" ? "ca" : "cookie",
        fingerprint: null,
      });
      expect(peer.certificate === null).toBe(transport === "tcp");
      expect(rttMs).toBeGreaterThan(0);
      await eventually(async () =>
        expect(await t.beam.erl("{nodes(), nodes(hidden)}")).toBe("{[],['sally@127.0.0.1']}"),
      );
      expect(t.events).toEqual(["up beam@127.0.0.1"]);
    });

    it("a BEAM pings a Sallyport node by name, through epmd, with the same assurance", async () => {
      t.node.disconnect("beam@127.0.0.1");
      await eventually(async () => expect(await t.beam.erl("nodes(hidden)")).toBe("[]"));
      t.events.length = 0;
      expect(await t.beam.erl("net_adm:ping('sally@127.0.0.1')")).toBe("pong");
      expect(await t.beam.erl("nodes(hidden)")).toBe("['sally@127.0.0.1']");
      expect(t.node.peers()).toHaveLength(1);
      expect(t.node.peers()[0]).toMatchObject({
        name: "beam@127.0.0.1",
        assurance: transport === "tls" ? "ca" : "cookie",
      });
      expect(t.events).toEqual(["up beam@127.0.0.1"]);
    });

    it("each side tells of the end of the session once, whoever ends it", async () => {
      await t.beam.erl("net_adm:ping('sally@127.0.0.1')");
      const watch =
        "Box = interop:box(), register(watch, Box), interop:do(Box, fun() -> " +
        "net_kernel:monitor_nodes(true, #{node_type => all, nodedown_reason => true}) end)";
      expect(await t.beam.erl(watch)).toBe("ok");
      t.events.length = 0;

      expect(t.node.disconnect("beam@127.0.0.1")).toBe(true);
      expect(await t.beam.erl("element(2, interop:take(watch))")).toBe("'sally@127.0.0.1'");
      await t.node.connect("beam@127.0.0.1");
      expect(await t.beam.erl("element(1, interop:take(watch))")).toBe("nodeup");
      expect(await t.beam.erl("erlang:disconnect_node('sally@127.0.0.1')")).toBe("true");
      expect(await t.beam.erl("element(1, interop:take(watch))")).toBe("nodedown");
      await eventually(() => expect(t.events).toHaveLength(3));
      expect(t.events.map((event) => event.split(" ")[0])).toEqual(["down", "up", "down"]);

      await t.node.ping("beam@127.0.0.1");
      await eventually(() => expect(t.events).toHaveLength(4));
      expect(await t.beam.erl("element(1, interop:take(watch))")).toBe("nodeup");
      expect(await t.beam.erl("interop:idle(watch)")).toBe("0");
      expect(t.node.disconnect("nobody@127.0.0.1")).toBe(false);
    });

    it("a pid of an earlier incarnation of a node is dead: noproc, and sends to it vanish", async () => {
      await t.node.ping("beam@127.0.0.1");
      await t.beam.erl("register(kept, interop:box())");
      const { creation, ...pid } = await pidOf(t.node, "kept");
      const stale = new Pid(pid.node, pid.id, pid.serial, creation ^ 1);
      expect(await failure(t.node.call(stale, "x"))).toMatchObject({ code: "ERR_REMOTE", reason: "NOPROC" });
      t.node.send(stale, "lost");
      t.node.send({ name: "kept", node: "beam@127.0.0.1" }, "kept");
      expect(await t.beam.erl("interop:take(kept)")).toBe('<<"kept">>');
      expect(await t.beam.erl("interop:idle(kept)")).toBe("0");
    });

    it("a node that does not exist and an address nobody listens at are unreachable", async () => {
      expect(await failure(t.node.ping("nobody@127.0.0.1"))).toMatchObject({ code: "ERR_UNREACHABLE" });
      expect(await t.beam.erl("net_adm:ping('nobody@127.0.0.1')")).toBe("pang");
      const port = `nobody@127.0.0.1:${t.rig.epmd.port + 1}`;
      expect(await failure(t.node.connect(port, { timeoutMs: 5_000 }))).toMatchObject({ code: "ERR_UNREACHABLE" });
    });
  });
}

async function pidOf(node: Node, name: string): Promise<Pid> {
  const pid = await node.rpc("beam@127.0.0.1", "erlang", "whereis", [new Atom(name)]);
  if (!(pid instanceof Pid)) throw new Error("not a pid");
  return pid;
}

describeWithErlang("TLS versions", () => {
  const t = useRig("tls", async (rig) => {
    const node = await rig.sallyport("sally");
    const strict = await rig.sallyport("strict", await withMinVersion(rig));
    return { node, strict };
  });

  async function withMinVersion(rig: Rig): Promise<Partial<NodeOptions>> {
    const { tls } = await rig.options("strict");
    return tls === undefined ? {} : { tls: { ...tls, minVersion: "TLSv1.3" } };
  }

  for (const version of ["tlsv1.2", "tlsv1.3"] as const) {
    it(`both sides dial each other with ${version} alone`, async () => {
      const name = version.replace(/\W/g, "_");
      const paths = await t.rig.authority.issue(`${name}@127.0.0.1`);
      const sslOptions = t.rig.authority.writeErlangOptions(paths, { versions: [version] });
      const beam = await t.rig.erlang(name, { sslOptions, cookie: COOKIE });
      expect(await beam.erl("net_adm:ping('sally@127.0.0.1')")).toBe("pong");
      t.node.disconnect(beam.name);
      expect((await t.node.ping(beam.name)).peer.assurance).toBe("ca");
      if (version === "tlsv1.3") {
        expect(await beam.erl("net_adm:ping('strict@127.0.0.1')")).toBe("pong");
      } else {
        expect(await beam.erl("net_adm:ping('strict@127.0.0.1')")).toBe("pang");
        expect(await failure(t.strict.ping(beam.name))).toMatchObject({ reason: "TLS_ALERT_PROTOCOL_VERSION" });
      }
    });
  }
});
