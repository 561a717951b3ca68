import type { SallyportError } from "../base/errors.ts";
import { encodeLinkFrame, type LinkFrame } from "../wire/link-frames.ts";
import { endedByPeer, goodbye, movedUnasked } from "./connection-failures.ts";
import type { Up } from "./connection-state.ts";
import { HeartbeatMonitor } from "./heartbeat.ts";
import { IdleQuestion } from "./idle-question.ts";
import { MovingAway } from "./moving-away.ts";
import { OwedAnswers } from "./owed-answers.ts";
import type { DistSink } from "./sink.ts";

/** What a link frame ends: `agreed` says that this side ends the session as idle, `closed` that the peer has ended it. */
export type LinkEnd = { readonly kind: "agreed" } | { readonly kind: "closed"; readonly cause: SallyportError };

/** What the two ends of a native session say to each other about the session itself (docs/protocol.md, link frames). */
export class LinkTalk {
  readonly owed: OwedAnswers = new OwedAnswers();
  readonly idle: IdleQuestion = new IdleQuestion();
  readonly away: MovingAway = new MovingAway();

  /**
   * Takes a frame of the peer. @throws {SallyportError} ERR_PEER_MISBEHAVED MOVED_UNASKED; what the peer's REFUSE says
   */
  take(frame: LinkFrame, { peer, sender, liveness }: Up, sink: DistSink): LinkEnd | undefined {
    switch (frame.kind) {
      case "ping":
        this.owed.owe("pong", encodeLinkFrame({ kind: "pong", token: frame.token }), sender);
        return undefined;
      case "pong":
        // Life itself: every byte counts as such already.
        if (!(liveness instanceof HeartbeatMonitor) || !liveness.answers(frame.token)) sink.strayPong();
        return undefined;
      case "bye":
        return { kind: "closed", cause: goodbye(peer.name, frame.reason, this.idle.isOpen) };
      case "idle":
        // What is still on its way to the peer would be lost.
        if (frame.received === BigInt(sender.messages) && sink.idleAsked()) return { kind: "agreed" };
        this.owed.owe("keep", encodeLinkFrame({ kind: "keep" }), sender);
        return undefined;
      case "keep":
        this.idle.kept(sink);
        return undefined;
      case "moved":
        if (sink.moved === undefined) throw movedUnasked();
        sink.moved();
        return undefined;
      case "refuse":
        throw endedByPeer(peer.name, frame.reason);
    }
  }
}
