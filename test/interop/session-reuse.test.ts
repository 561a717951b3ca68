import { describe, expect, it } from "vitest";
import type { CarrierInfo, CarrierSink } from "../../src/carrier/carrier.ts";
import { createTlsDialer } from "../../src/carrier/tls.ts";
import type { TlsDebug } from "../../src/carrier/tls-debug.ts";
import { loadTlsMaterial } from "../../src/carrier/tls-material.ts";
import type { Node } from "../../src/node/api.ts";
import type { BeamNode } from "./erlang-node.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, issueParts, type Rig, useRig } from "./rig.ts";

// TLS sessions between Sallyport and Erlang nodes that are resumed, in both directions. In its distribution OTP 25 resumes those
// of TLS 1.2 that others offer, offers none itself, and has no tickets of TLS 1.3: with `session_tickets` in its option file it
// ends each connection with a crash. What its ssl application does of both is met here outside of the distribution.

const OURS = "ours@127.0.0.1";
const BEAM = "beam@127.0.0.1";

const VERSIONS = [
  ["TLSv1.2", true],
  ["TLSv1.3", false],
] as const;

const resumedIn = (node: Node): unknown => node.peers().map(({ tls, assurance }) => [tls?.resumed, assurance]);

/** Ends the session, at both ends. */
async function parted(ours: Node, beam: BeamNode): Promise<void> {
  ours.disconnect(beam.name);
  await eventually(() => expect(ours.peers()).toEqual([]));
  await eventually(async () => expect(await beam.erl("nodes(connected)")).toBe("[]"));
}

describe("TLS sessions with an Erlang node", () => {
  for (const [version, resumes] of VERSIONS) {
    describeWithErlang(`over ${version}`, () => {
      const t = useRig("tls", async (rig) => {
        const paths = await rig.authority.issue(BEAM);
        const sslOptions = rig.authority.writeErlangOptions(paths, { versions: [version.toLowerCase()] });
        const { certFile, keyFile } = await rig.authority.issue(OURS);
        const tls = { certFile, keyFile, caFile: rig.authority.caFile, debug: true };
        const [beam, ours] = [await rig.erlang(BEAM, { sslOptions, hidden: true }), await rig.sallyport(OURS, { tls })];
        ours.register("srv", { call: (request) => request }, { allow: "ca" });
        return { beam, ours, paths };
      });

      it("that this node dials", { timeout: 60_000 }, async () => {
        const { ours, beam } = t;
        for (const expected of [false, resumes]) {
          await ours.connect(BEAM);
          expect(resumedIn(ours)).toEqual([[expected, "ca"]]);
          expect(await ours.rpc(BEAM, "lists", "reverse", [[1, 2, 3]])).toEqual([3, 2, 1]);
          await parted(ours, beam);
        }
        expect(ours.vitals().counters["resumptions_failed"] ?? 0).toBe(0);
      });

      it("that the Erlang node dials", { timeout: 60_000 }, async () => {
        const { ours, beam } = t;
        for (let i = 0; i < 2; i++) {
          expect(await beam.erl(`net_kernel:connect_node('${OURS}')`)).toBe("true");
          await eventually(() => expect(resumedIn(ours)).toEqual([[false, "ca"]]));
          expect(await beam.erl(`gen_server:call({srv, '${OURS}'}, 7)`)).toBe("7");
          await parted(ours, beam);
        }
      });

      it("are resumed for the ssl application of OTP, and not after this node's certificate has changed", {
        timeout: 60_000,
      }, async () => {
        const { ours, beam, rig, paths } = t;
        const told: TlsDebug[] = [];
        ours.on("tls", (handshake) => told.push(handshake));
        const dials = async (): Promise<unknown> => {
          const before = told.length;
          await beam.erl(sslConnect(rig, ours, paths, version));
          await eventually(() => expect(told.length).toBeGreaterThan(before));
          const { outcome, resumed, version: spoken, chainError } = told[before] ?? {};
          return [outcome, spoken, resumed, chainError];
        };
        expect(await dials()).toEqual(["secured", version, false, null]);
        expect(await dials()).toEqual(["secured", version, true, null]);
        await rig.authority.issue(OURS);
        expect(ours.certificate?.reload()).toMatchObject({ ok: true });
        expect(await dials()).toEqual(["secured", version, false, null]);
      });
    });
  }

  describeWithErlang("whose ssl application gives out tickets of TLS 1.3", () => {
    const t = useRig("tls", async (rig) => ({ beam: await rig.erlang("tickets@127.0.0.1") }));

    it.each(["stateless", "stateful"])("are resumed by its %s tickets", { timeout: 60_000 }, async (kind) => {
      const { beam, rig } = t;
      const server = await rig.authority.issue(BEAM);
      const port = Number(await beam.erl(sslListen(rig, server, kind)));
      const parts = issueParts();
      const { certFile, keyFile } = await rig.authority.issue(OURS);
      const files = { certFile, keyFile, caFile: rig.authority.caFile };
      const { material } = loadTlsMaterial(parts.files, files, parts.clock.wallMs());
      const dialer = createTlsDialer({ clock: parts.clock }, material);
      const dials = (): Promise<CarrierInfo | undefined> =>
        new Promise((resolve) => {
          let info: CarrierInfo | undefined;
          const sink: CarrierSink = {
            opened(now) {
              info = now;
            },
            // What OTP says first comes after its tickets.
            bytes() {
              carrier.sessionUp?.();
              carrier.end();
            },
            drained: () => undefined,
            closed: () => resolve(info),
          };
          const carrier = dialer.dial({ scheme: "tls", host: "127.0.0.1", port }, "localhost", sink);
        });
      const first = await dials();
      expect(first).toMatchObject({ tlsVersion: "TLSv1.3", chainTrusted: true });
      expect(first?.resumption).toBeUndefined();
      const again = await dials();
      expect(again).toMatchObject({ resumption: "resumed", chainTrusted: true, peerCertDer: first?.peerCertDer });
    });
  });
});

interface Paths {
  readonly certFile: string;
  readonly keyFile: string;
}

const common = (rig: Rig, { certFile, keyFile }: Paths): string =>
  `{certfile, "${certFile}"}, {keyfile, "${keyFile}"}, {cacertfile, "${rig.authority.caFile}"}, {verify, verify_peer}, {active, false}`;

/** One TLS connection of OTP to this node, held until tickets have come. */
function sslConnect(rig: Rig, ours: Node, paths: Paths, version: string): string {
  const port = new URL(ours.endpoints[0] ?? "").port;
  const tickets = version === "TLSv1.3" ? ", {session_tickets, auto}" : "";
  return `
    {ok, _} = application:ensure_all_started(ssl),
    {ok, S} = ssl:connect("127.0.0.1", ${port}, [${common(rig, paths)}, {server_name_indication, disable},
      {versions, ['${version.toLowerCase()}']}${tickets}], 10000),
    timer:sleep(100), ssl:close(S), ok`;
}

/** A listener of OTP that gives out tickets, and says a word to each client. @returns its port */
function sslListen(rig: Rig, paths: Paths, kind: string): string {
  return `
    {ok, _} = application:ensure_all_started(ssl),
    Me = self(),
    spawn(fun() ->
      {ok, L} = ssl:listen(0, [${common(rig, paths)}, {fail_if_no_peer_cert, true}, {versions, ['tlsv1.3']},
        {session_tickets, ${kind}}, {ip, {127,0,0,1}}]),
      {ok, {_, Port}} = ssl:sockname(L), Me ! {port, Port},
      Loop = fun Loop() ->
        {ok, T} = ssl:transport_accept(L),
        case ssl:handshake(T, 10000) of {ok, S} -> ssl:send(S, "x"), ssl:recv(S, 0, 5000), ssl:close(S); _ -> ok end,
        Loop()
      end,
      Loop()
    end),
    receive {port, Port} -> Port end`;
}
