import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { StreamSink, TaggedStream } from "../dist/tagged-stream.ts";
import { checkTag, type StreamOwner, TaggedStreams } from "../dist/tagged-streams.ts";
import type { UserChannels } from "../dist/user-channels.ts";
import { AllowRule } from "../guard/allow.ts";
import type { Peer, RegisterOptions } from "./api.ts";
import { type NodeCore, reportHandlerError } from "./node-core.ts";
import { OpenStream } from "./open-stream.ts";
import type { PeerStream, PeerStreams, StreamHandler } from "./peer-stream.ts";
import { BY_LIMIT, Refusals } from "./refusals.ts";
import type { Session } from "./session.ts";

/** What serves one tag. */
interface Served {
  readonly handler: StreamHandler;
  readonly rule: AllowRule | undefined;
}

/** Who serves streams on this node, by tag. */
export class StreamServices {
  readonly core: NodeCore;
  readonly refusals: Refusals;
  readonly #served = new Map<string, Served>();

  constructor(core: NodeCore) {
    this.core = core;
    this.refusals = new Refusals(core);
  }

  /** @throws {SallyportError} ERR_API_MISUSE STREAM_TAG, NAME_TAKEN, ALLOW_INVALID */
  serve(tag: string, handler: StreamHandler, { allow }: RegisterOptions): () => void {
    checkTag(tag);
    if (this.#served.has(tag)) {
      throw new SallyportError("ERR_API_MISUSE", "NAME_TAKEN", `streams of the tag "${tag}" are served already`, {
        advice: "stop the other handler first, or choose another tag",
      });
    }
    const served = { handler, rule: AllowRule.compile(allow, ["stream"]) };
    this.#served.set(tag, served);
    return () => {
      if (this.#served.get(tag) === served) this.#served.delete(tag);
    };
  }

  get(tag: string): Served | undefined {
    return this.#served.get(tag);
  }
}

/** The tagged streams of one session: asks the policy about each that the peer opens, and again when the policy has changed. */
export class SessionStreams implements StreamOwner, PeerStreams {
  readonly #services: StreamServices;
  readonly #session: () => Session | undefined;
  readonly #streams: TaggedStreams;
  /** Those that the peer opened, with the rule under which they came. */
  readonly #inbound = new Map<TaggedStream, AllowRule | undefined>();

  constructor(services: StreamServices, session: () => Session | undefined) {
    this.#services = services;
    this.#session = session;
    this.#streams = new TaggedStreams(this);
  }

  /** For the link. */
  get channels(): UserChannels {
    return this.#streams;
  }

  open(peer: Peer, tag: string): PeerStream {
    const stream = this.#streams.open(tag);
    const opened = new OpenStream(stream, peer, () => {});
    stream.sink = opened;
    return opened;
  }

  streamOffered(stream: TaggedStream): StreamSink | undefined {
    const session = this.#session();
    const { refusals, core } = this.#services;
    if (session === undefined) return undefined;
    const { tag } = stream;
    const served = this.#services.get(tag);
    const verdict = session.guard.onStream(tag, served?.rule);
    if (verdict.outcome !== "allow") {
      refusals.record(session, "stream", tag, verdict);
      return undefined;
    }
    // Allowed, and nobody serves it: no refusal of ours.
    if (served === undefined) return undefined;
    const grant = session.guard.spend(verdict);
    if (grant === undefined && !session.guard.isOpen(verdict)) {
      refusals.record(session, "stream", tag, BY_LIMIT);
      return undefined;
    }
    refusals.allowed(session, "stream", tag, verdict, grant);
    this.#inbound.set(stream, served.rule);
    const opened = new OpenStream(stream, session.peer, () => this.#inbound.delete(stream));
    void this.#run(served.handler, opened, core);
    return opened;
  }

  streamDropped(): void {
    this.#services.core.counters.add("streams_dropped");
  }

  rejudge(): void {
    const session = this.#session();
    if (session === undefined) return;
    for (const [stream, rule] of [...this.#inbound]) {
      const verdict = session.guard.onStream(stream.tag, rule);
      if (verdict.outcome === "allow") continue;
      this.#services.refusals.record(session, "stream", stream.tag, verdict);
      stream.reset();
    }
  }

  async #run(handler: StreamHandler, stream: OpenStream, core: NodeCore): Promise<void> {
    // Not within the call that brought the stream: the handler would run inside the connection.
    await Promise.resolve();
    try {
      await handler(stream);
    } catch (error) {
      reportHandlerError(core, `stream ${stream.tag}`, error);
      stream.reset();
    }
  }
}

/** @throws {SallyportError} ERR_PEER_INCOMPATIBLE STREAMS_UNSUPPORTED; else as `TaggedStreams.open` */
export function openStream(session: Session, tag: string): PeerStream {
  if (session.streams === undefined) throw unsupported(session.peer.name);
  return session.streams.open(session.peer, tag);
}

function unsupported(peer: NodeName): SallyportError {
  return new SallyportError("ERR_PEER_INCOMPATIBLE", "STREAMS_UNSUPPORTED", `the session with ${peer} has no streams`, {
    peer,
    stage: "session",
    advice: "reach the peer at a quic:// address: only barrel's protocol has streams beside messages",
  });
}
