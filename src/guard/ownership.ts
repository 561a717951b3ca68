import type { Pid, Reference } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";

/** A node in one of its lives. Identifiers of the same name with another creation belong to another life. */
export interface Incarnation {
  readonly node: string;
  readonly creation: number;
}

function owns(who: Incarnation, id: Pid | Reference): boolean {
  return id.creation === who.creation && id.node === who.node;
}

/**
 * Checks that each identifier a peer sends as its own is of its name and creation; OTP itself checks only some of them
 * (threat model F2). Returns the name of the first field that is forged, or undefined.
 *
 * Targets on our side are not judged here: one of an earlier life of ours is simply unknown. A group leader may also be
 * `own`: what this node started there may start something here.
 */
export function forgedField(control: Control, peer: Incarnation, own: Incarnation): string | undefined {
  switch (control.kind) {
    case "send":
      return control.from === undefined || owns(peer, control.from) ? undefined : "from";
    case "reg-send":
    case "alias-send":
    case "link":
    case "unlink":
    case "unlink-id":
    case "unlink-id-ack":
    case "exit2":
      return owns(peer, control.from) ? undefined : "from";
    case "monitor":
    case "demonitor":
      if (!owns(peer, control.from)) return "from";
      return owns(peer, control.ref) ? undefined : "ref";
    // What we asked about a process of an earlier life is answered with `noproc` in that process's name. Both count only
    // where they meet a link or monitor of ours on that very pid, so nothing is gained by inventing one.
    case "exit":
      return control.from.node === peer.node ? undefined : "from";
    case "monitor-exit":
      return typeof control.target === "string" || control.target.node === peer.node ? undefined : "target";
    case "group-leader":
      return undefined;
    case "spawn-request":
      if (!owns(peer, control.from)) return "from";
      if (!owns(peer, control.ref)) return "ref";
      return owns(peer, control.groupLeader) || owns(own, control.groupLeader) ? undefined : "group leader";
    case "spawn-reply":
      return typeof control.result === "string" || owns(peer, control.result) ? undefined : "child";
  }
}
