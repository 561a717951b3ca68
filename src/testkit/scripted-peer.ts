import { OpenChallenges } from "../auth/otp-types.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Carrier, CarrierInfo, CarrierSink, DialAddress } from "../carrier/carrier.ts";
import { createMemoryPair } from "../carrier/memory.ts";
import { DistConnection } from "../dist/connection.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import type { GuardLimits } from "../guard/limits.ts";
import type { Denied } from "../node/api.ts";
import { readExchange } from "../node/exchange-plan.ts";
import { genCall } from "../node/gen.ts";
import { SallyportNode } from "../node/node.ts";
import type { ExchangeOption } from "../node/options.ts";
import type { PolicySource } from "../node/own-policy.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { Atom, Pid, Reference, type Term, Tuple, tuple } from "../term/types.ts";
import { type Control, hasPayload } from "../wire/control-types.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { SeededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Name of the node under test. */
export const NODE_NAME: NodeName = parseNodeName("n@h");
/** Its creation. */
export const NODE_CREATION = 33;
/** Creation of every scripted peer. */
export const PEER_CREATION = 77;

/** `{sallyport_denied, "ID"}`: what stands for every refusal in `ScriptedPeer.answers`. */
export const REFUSED: Tuple = tuple(new Atom("sallyport_denied"), "ID");

/** A control message that came back, with its payload, ids of refusals blanked. */
export type Answer = Control & { readonly payload: Term };

/** What a scripted node is made with. */
export interface ScriptedNodeOptions {
  /** Undefined: the node has no policy. */
  readonly policy?: PolicyDocument;
  readonly guardLimits?: Partial<GuardLimits>;
  readonly exchange?: ExchangeOption;
}

/** How a scripted peer comes. */
export interface ScriptedPeerOptions {
  /** Default `p@h`. */
  readonly name?: string;
  /** Default `cookie`. */
  readonly assurance?: "cookie" | "ca";
  /** True: the node dials the peer. */
  readonly dialled?: boolean;
}

/** A peer of which a test writes every message. */
export class ScriptedPeer {
  readonly connection: DistConnection;
  /** A process of the peer. */
  readonly from: Pid;
  /** Reason of the end of its session, once there was one. */
  ended: string | undefined;
  readonly name: NodeName;
  readonly #got: Answer[] = [];
  readonly #settle: () => Promise<void>;
  #serial = 0;

  constructor(name: NodeName, connect: (peer: ScriptedPeer) => DistConnection, settle: () => Promise<void>) {
    this.name = name;
    this.from = this.pid(5);
    this.#settle = settle;
    this.connection = connect(this);
  }

  /** A pid of the peer. */
  pid(id: number, creation: number = PEER_CREATION): Pid {
    return new Pid(this.name, id, 0, creation);
  }

  /** A new reference of the peer. */
  ref(): Reference {
    return new Reference(this.name, PEER_CREATION, [++this.#serial, 2, 3]);
  }

  /** For its connection: something came. */
  took(control: Control, payload: Term): void {
    this.#got.push({ ...control, payload: blanked(payload) });
  }

  /** Writes one message; dropped when the connection is closed. */
  write(control: Control, payload?: Term): void {
    if (!this.connection.isUp) return;
    if (hasPayload(control)) this.connection.message(control, payload);
    else this.connection.signal(control);
  }

  /** SEND or REG_SEND. */
  send(target: Pid | string, payload: Term): void {
    const { from } = this;
    this.write(
      typeof target === "string" ? { kind: "reg-send", from, name: target } : { kind: "send", from, to: target },
      payload,
    );
  }

  /** MONITOR_P and `$gen_call`, as gen_server:call sends them; returns their reference. */
  call(target: Pid | string, request: Term, ref: Reference = this.ref()): Reference {
    this.write({ kind: "monitor", from: this.from, target, ref });
    this.send(target, genCall(this.from, ref, true, request));
    return ref;
  }

  /** SPAWN_REQUEST. */
  spawn(module: string, fn: string, args: Term, options: Term = [], arity?: number): Reference {
    const { from } = this;
    const ref = this.ref();
    const count = arity ?? (Array.isArray(args) ? args.length : 0);
    const request = { ref, from, groupLeader: from, module, function: fn, arity: count, options };
    this.write({ kind: "spawn-request", ...request }, args);
    return ref;
  }

  /** What came back since the last look. */
  async answers(): Promise<readonly Answer[]> {
    await this.#settle();
    return this.#got.splice(0);
  }
}

/** A node on a virtual clock, and ways to connect scripted peers to it. */
export class ScriptedNode {
  readonly clock: VirtualClock = new VirtualClock();
  readonly node: SallyportNode;
  readonly denied: Denied[] = [];
  /** Reasons of connections that never became sessions. */
  readonly refused: string[] = [];
  readonly handlerErrors: unknown[] = [];
  /** `host:port` of every dial. */
  readonly dials: string[] = [];
  readonly #peers = new Map<NodeName, ScriptedPeer>();
  #seed = 10;
  #dialling: ((sink: CarrierSink) => Carrier) | undefined;

  constructor({ policy, guardLimits, exchange }: ScriptedNodeOptions = {}) {
    const plan = readExchange(exchange, NODE_NAME, this.clock, () => ["tls://h:1"]);
    this.node = new SallyportNode({
      own: { name: NODE_NAME, creation: NODE_CREATION, flags: DEFAULT_FLAGS },
      clock: this.clock,
      random: new SeededRandom(1),
      handshake: this.#handshake(),
      dialers: { tls: { dial: (address, _host, sink) => this.#dialled(address, sink) } },
      resolver: {
        label: "scripted",
        resolve: async (name) => {
          const hints = (await plan?.hints.resolve(name)) ?? [];
          return hints.length > 0 ? hints : [{ scheme: "tls", host: "h", port: 1 }];
        },
      },
      judgeCertificate: () => ({ matched: false, presented: [] }),
      limits: DEFAULT_DIST_LIMITS,
      ticks: DEFAULT_TICK_OPTIONS,
      guardLimits,
      policy: policy === undefined ? undefined : sourceOf(policy),
      exchange: plan,
      onListenerError: (error) => {
        throw error;
      },
    });
    this.node.startJoining();
    this.node.on("denied", (told) => this.denied.push(told));
    this.node.on("refused", ({ error }) => this.refused.push(error.reason));
    this.node.on("handlerError", ({ error }) => this.handlerErrors.push(error));
    this.node.on("nodedown", ({ name }, reason) => {
      const peer = this.#peers.get(name);
      if (peer !== undefined) peer.ended = reason;
    });
  }

  /** Lets everything happen that is ready. */
  async settle(): Promise<void> {
    for (let i = 0; i < 12; i++) {
      this.clock.runTurn();
      await Promise.resolve();
    }
  }

  /** `verb target` of what was refused since the last look, with `rule` where one decided. */
  refusals(): readonly string[] {
    return this.denied
      .splice(0)
      .map(({ verb, target, outcome, rule }) => `${verb} ${target} ${outcome}${rule === null ? "" : ` ${rule}`}`);
  }

  /** Connects a peer; whether its session stands, `node.peers()` tells. */
  async connect(options: ScriptedPeerOptions = {}): Promise<ScriptedPeer> {
    const { name = "p@h", assurance = "cookie", dialled = false } = options;
    const peerName = parseNodeName(name);
    const trusted: Partial<CarrierInfo> = { chainTrusted: assurance === "ca" };
    const pair = createMemoryPair({ clock: this.clock, first: trusted, second: trusted });
    let peerSink: CarrierSink | undefined;
    const peer = new ScriptedPeer(
      peerName,
      (made) =>
        this.#connectionOf(made, dialled ? undefined : NODE_NAME, (sink) => {
          peerSink = sink;
          return pair.first;
        }),
      () => this.settle(),
    );
    this.#peers.set(peerName, peer);
    const join = (sink: CarrierSink): void => {
      if (peerSink !== undefined) pair.connect(peerSink, sink);
    };
    if (dialled) {
      this.#dialling = (sink) => {
        join(sink);
        return pair.second;
      };
      this.node.connect(peerName).catch(() => {});
    } else join(this.node.accept(pair.second, { release: () => {} }));
    await this.settle();
    return peer;
  }

  #dialled({ host, port }: DialAddress, sink: CarrierSink): Carrier {
    this.dials.push(`${host}:${port}`);
    if (this.#dialling === undefined) throw new Error("nobody is to be dialled");
    return this.#dialling(sink);
  }

  #handshake(): ConstructorParameters<typeof SallyportNode>[0]["handshake"] {
    return {
      crypto: new RealCrypto(),
      random: new SeededRandom(++this.#seed),
      openChallenges: new OpenChallenges(),
      cookieFor: () => Buffer.from("secret"),
    };
  }

  #connectionOf(
    peer: ScriptedPeer,
    target: NodeName | undefined,
    open: (sink: CarrierSink) => Carrier,
  ): DistConnection {
    const connection: DistConnection = new DistConnection(
      {
        own: { name: peer.name, creation: PEER_CREATION, flags: DEFAULT_FLAGS },
        target,
        tools: this.#handshake(),
        clock: this.clock,
        limits: DEFAULT_DIST_LIMITS,
        ticks: DEFAULT_TICK_OPTIONS,
      },
      {
        trustAsked: () => {},
        arbitrationAsked: () => {},
        commitAsked: () => {},
        secured: () => {},
        claimed: () => connection.answerClaim("ok"),
        proven: () => connection.admit(),
        up: () => {},
        wanted: () => true,
        refused: () => {},
        message: (control, buffer, start, end) =>
          peer.took(control, end > start ? connection.terms.decodeAt(buffer, start, end) : undefined),
        idleAsked: () => false,
        idleKept: () => {},
        strayPong: () => {},
        turnStarted: () => {},
        turnEnded: () => {},
        drained: () => {},
        down: () => {},
      },
      open,
    );
    return connection;
  }
}

/** A policy given in code, as a node takes it. */
export function sourceOf(document: PolicyDocument): PolicySource {
  const compile = (of: PolicyDocument, generation: number): ReturnType<typeof compilePolicy> =>
    compilePolicy(of, generation);
  return { first: compile(document, 1), load: undefined, compile };
}

/** The same term with the id of each refusal blanked where it has the form of one. */
function blanked(term: Term): Term {
  if (!(term instanceof Tuple)) return term;
  const [head, id] = term.elements;
  const isRefusal = head instanceof Atom && head.name === "sallyport_denied" && id instanceof Uint8Array;
  if (isRefusal && /^[0-9A-HJKMNP-TV-Z]{8,26}$/.test(Buffer.from(id).toString())) return REFUSED;
  return new Tuple(term.elements.map(blanked));
}
