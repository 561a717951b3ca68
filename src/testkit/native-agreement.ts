import { TRANSCRIPT_FIELDS, type Transcript, type TranscriptField } from "../auth/native-transcript.ts";
import { type Found, fieldsOf, type Local, Model } from "./native-model.ts";
import { KEYS, KINDS, type Kind, type Rules } from "./native-world.ts";

/** `all`: one other end agrees on all fields. `each`: for each field, some other end agrees on it, where there is one. */
export interface Agreement {
  readonly fields: readonly TranscriptField[];
  readonly mode: "all" | "each";
}

/** What is wrong with an accepted session: no matching one at the peer that it names. */
function violation(x: Local, all: readonly Local[], { fields, mode }: Agreement, r: Rules): string | undefined {
  if (x.state.kind !== "up") return undefined;
  const { session } = x.state;
  const { owner, role, name } = x.session.kind;
  const peer = (["a", "b"] as const).find((who) => session.publicKey?.equals(KEYS[who]));
  if (peer === owner) return `${name}: its own key`;
  // M has a key and no cookie: under its key it may be accepted by keys alone.
  if (peer === undefined && r.method === "key" && !r.withCookie.includes(owner)) return undefined;
  const mine = fieldsOf(session.transcript);
  const ends: Map<TranscriptField, string>[] = [];
  for (const z of all) {
    if (z.session.kind.role === role || z.session.kind.owner === owner) continue;
    const view = viewOf(z);
    if (view !== undefined) ends.push(fieldsOf(view));
  }
  if (mode === "all") {
    if (ends.some((theirs) => fields.every((field) => theirs.get(field) === mine.get(field)))) return undefined;
    return `${name} accepted ${session.peer} without the matching session`;
  }
  if (ends.length === 0) return undefined;
  const field = fields.find((f) => !ends.some((theirs) => theirs.get(f) === mine.get(f)));
  return field === undefined ? undefined : `${name} accepted ${session.peer} and differs in ${field}`;
}

function viewOf(z: Local): Transcript | undefined {
  if (z.state.kind === "up") return z.state.session.transcript;
  return "agreed" in z.state ? z.state.agreed.transcript : undefined;
}

/** Agreement on the whole transcript. */
export const ALL_FIELDS: Agreement = { fields: TRANSCRIPT_FIELDS, mode: "all" };
/** The fields that say which TLS session it is. */
export const CHANNEL_FIELDS: readonly TranscriptField[] = ["exporter", "diallerCertificate", "acceptorCertificate"];

/** Runs all combinations of `size` sessions, with or without an honest channel from A to B beside them. */
export function check(r: Rules, size: number, agreement: Agreement, direct = false, stopAtFirst = false): Found {
  const model = new Model(r);
  const found: Found = { states: 0, accepted: 0, violations: new Set() };
  const pick = (from: number, chosen: readonly Kind[]): void => {
    if (stopAtFirst && found.violations.size > 0) return;
    if (chosen.length === size) {
      const start = chosen.map((kind, i) => model.root(kind, chosen.slice(0, i).filter((k) => k === kind).length));
      if (direct) {
        start.push(model.root(KINDS[0] as Kind, 0, "honest"), model.root(KINDS[5] as Kind, 0, "honest"));
      }
      model.explore(start, direct, found, (x, all) => {
        const bad = violation(x, all, agreement, r);
        if (bad !== undefined) found.violations.add(bad);
        return bad !== undefined && stopAtFirst ? "stop" : undefined;
      });
      return;
    }
    KINDS.forEach((kind, i) => {
      if (i >= from) pick(i, [...chosen, kind]);
    });
  };
  pick(0, []);
  return found;
}
