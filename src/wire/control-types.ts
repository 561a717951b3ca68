import type { Pid, Reference, Term } from "../term/types.ts";

/**
 * One control message of the distribution protocol (otp-distribution section 4), decoded. Immutable, so a decoder may
 * hand out the same object again for the same bytes, and identity of the object means identity of the message.
 *
 * Sequential-trace variants (…_TT) decode to their plain form: the token is dropped. Both the plain and the payload form
 * of EXIT, EXIT2 and MONITOR_P_EXIT decode to the same kind; `reason` is present in the plain form, and in the payload
 * form the reason is the payload.
 */
export type Control =
  | { readonly kind: "link"; readonly from: Pid; readonly to: Pid }
  | { readonly kind: "unlink"; readonly from: Pid; readonly to: Pid }
  | { readonly kind: "unlink-id"; readonly id: bigint; readonly from: Pid; readonly to: Pid }
  | { readonly kind: "unlink-id-ack"; readonly id: bigint; readonly from: Pid; readonly to: Pid }
  /** `from` is undefined for op 2, which carries no sender. */
  | { readonly kind: "send"; readonly from: Pid | undefined; readonly to: Pid }
  | { readonly kind: "reg-send"; readonly from: Pid; readonly name: string }
  | { readonly kind: "alias-send"; readonly from: Pid; readonly alias: Reference }
  | { readonly kind: "group-leader"; readonly leader: Pid; readonly to: Pid }
  | { readonly kind: "exit"; readonly from: Pid; readonly to: Pid; readonly reason: ReasonSource }
  | { readonly kind: "exit2"; readonly from: Pid; readonly to: Pid; readonly reason: ReasonSource }
  | { readonly kind: "monitor"; readonly from: Pid; readonly target: Pid | string; readonly ref: Reference }
  | { readonly kind: "demonitor"; readonly from: Pid; readonly target: Pid | string; readonly ref: Reference }
  | {
      readonly kind: "monitor-exit";
      readonly target: Pid | string;
      readonly to: Pid;
      readonly ref: Reference;
      readonly reason: ReasonSource;
    }
  | {
      readonly kind: "spawn-request";
      readonly ref: Reference;
      readonly from: Pid;
      readonly groupLeader: Pid;
      readonly module: string;
      readonly function: string;
      readonly arity: number;
      readonly options: Term;
    }
  | {
      readonly kind: "spawn-reply";
      readonly ref: Reference;
      readonly to: Pid;
      /** Bit 0: link established; bit 1: monitor established. */
      readonly flags: number;
      /** The new process, or the name of the error atom. */
      readonly result: Pid | string;
    };

/** Where an exit reason stands: in the payload that follows, or here. */
export type ReasonSource = "payload" | { readonly term: Term };

/** True when a payload term follows this control message on the wire. */
export function hasPayload(control: Control): boolean {
  switch (control.kind) {
    case "send":
    case "reg-send":
    case "alias-send":
    case "spawn-request":
      return true;
    case "exit":
    case "exit2":
    case "monitor-exit":
      return control.reason === "payload";
    default:
      return false;
  }
}
