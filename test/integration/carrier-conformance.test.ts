import { AcceptGate } from "../../src/carrier/accept-gate.ts";
import type { Carrier, CarrierDialer, CarrierSink } from "../../src/carrier/carrier.ts";
import type { ChannelledCarrier } from "../../src/carrier/channels.ts";
import { createMemoryPair } from "../../src/carrier/memory.ts";
import { createTcpDialer, listenTcp } from "../../src/carrier/tcp.ts";
import { createTlsDialer, listenTls } from "../../src/carrier/tls.ts";
import { createChannelledMemoryPair } from "../../src/testkit/channelled-memory.ts";
import { type CarrierEnd, type CarrierEnds, type CarrierRig, carrierSuite } from "./carrier-suite.ts";
import { ChannelEar } from "./channel-ear.ts";
import { channelSuite } from "./channel-suite.ts";
import { closeEngines, dial, engine, serve } from "./quic-rig.ts";
import { client, clock, random, server, useTlsRig } from "./tls-rig.ts";

useTlsRig();

const open: (() => void)[] = [];
const cleanUp = (): void => {
  for (const close of open.splice(0)) close();
};

/** The ends of a socket carrier over loopback. */
async function overSocket(
  scheme: "tcp" | "tls",
  dialer: CarrierDialer,
  listen: (accept: (carrier: Carrier) => CarrierSink) => Promise<{ port: number; close(): Promise<void> }>,
): Promise<CarrierEnds> {
  let arrived: (end: CarrierEnd) => void = () => undefined;
  const far = new Promise<CarrierEnd>((resolve) => {
    arrived = resolve;
  });
  const listener = await listen((carrier) => {
    const ear = new ChannelEar();
    arrived({ carrier, ear });
    return ear;
  });
  const ear = new ChannelEar();
  const carrier = dialer.dial({ scheme, host: "127.0.0.1", port: listener.port }, "localhost", ear);
  const accepted = await far;
  open.push(
    () => void listener.close(),
    carrier.destroy.bind(carrier),
    () => accepted.carrier.destroy(),
  );
  return { near: { carrier, ear }, far: accepted };
}

const parts = () => ({ clock, gate: new AcceptGate({ clock, random }) });
const ADDRESS = { host: "127.0.0.1", ports: 0 };

const tcp: CarrierRig = {
  name: "tcp",
  connect: (limits = {}) =>
    overSocket("tcp", createTcpDialer({ clock }, limits), (accept) => listenTcp(parts(), ADDRESS, accept, limits)),
  cleanUp,
};

const tls: CarrierRig = {
  name: "tls",
  connect: (limits = {}) =>
    overSocket("tls", createTlsDialer({ clock }, client, limits), (accept) =>
      listenTls(parts(), ADDRESS, server, accept, limits),
    ),
  cleanUp,
};

const memory: CarrierRig = {
  name: "memory",
  async connect(limits = {}) {
    const { first, second, connect } = createMemoryPair({ clock, ...limits });
    const ends = { near: { carrier: first, ear: new ChannelEar() }, far: { carrier: second, ear: new ChannelEar() } };
    connect(ends.near.ear, ends.far.ear);
    return ends;
  },
  cleanUp,
};

const channelledMemory: CarrierRig<ChannelledCarrier> = {
  name: "channelled memory",
  async connect(limits = {}) {
    const { dialled, accepted, connect } = createChannelledMemoryPair({ clock, ...limits });
    const ends = {
      near: { carrier: dialled, ear: new ChannelEar() },
      far: { carrier: accepted, ear: new ChannelEar() },
    };
    connect(ends.near.ear, ends.far.ear);
    return ends;
  },
  cleanUp,
};

const quic: CarrierRig<ChannelledCarrier> = {
  name: "quic",
  async connect(limits = {}) {
    const listening = await serve(limits);
    const near = dial(engine(), listening.listener.port, limits);
    const far = await listening.nextAccepted();
    // These carriers have no peer to authenticate: more may come than from a stranger.
    far.admission?.release();
    return { near, far };
  },
  cleanUp: closeEngines,
};

for (const rig of [tcp, tls, memory, channelledMemory, quic]) carrierSuite(rig);
for (const rig of [channelledMemory, quic]) channelSuite(rig);
