import type { Clock } from "../base/clock.ts";
import { listenHttp } from "../carrier/http-listener.ts";
import type { ListenAddress } from "../carrier/listen.ts";
import { formatAddress } from "../carrier/socket-address.ts";
import { type CheckedPart, HEALTH_DEADLINE_MS, type HealthCheck, runChecks } from "./checks.ts";

/** How long an answer is good for others who ask the same, milliseconds: many questions are one look. */
export const PROBE_ANSWER_MS = 1_000;

/** Time that an answer has beyond the deadline of its checks, milliseconds: it names the one that is late. */
const ANSWER_GRACE_MS = 500;

/** What is looked at for each path; all of it must be well for status 200. */
export type ProbePaths = Readonly<Record<string, readonly HealthCheck[]>>;

/** A bound endpoint. */
export interface HealthEndpoint {
  /** `http://HOST:PORT` */
  readonly url: string;
  /** As that of `HttpListener`. */
  close(): Promise<void>;
}

/**
 * Answers probes: 200 and `{"status":"ok","checks":[...]}`, or 503 and `"failed"` with the check that is not well, within
 * `HEALTH_DEADLINE_MS`.
 * @throws {SallyportError} ERR_CONFIG as `listenHttp`
 */
export async function openHealthEndpoint(
  address: ListenAddress,
  paths: ProbePaths,
  clock: Clock,
): Promise<HealthEndpoint> {
  const looks = new Looks(paths, clock);
  const listener = await listenHttp(address, clock, HEALTH_DEADLINE_MS + ANSWER_GRACE_MS, ({ path, respond }) => {
    const look = looks.at(path);
    if (look === undefined) respond(404, { status: "unknown", paths: Object.keys(paths) });
    else void look.then(({ ok, body }) => respond(ok ? 200 : 503, body));
  });
  return { url: `http://${formatAddress(listener.host, listener.port)}`, close: () => listener.close() };
}

interface Answer {
  readonly ok: boolean;
  readonly body: object;
}

/** One look at a time for each path, shared by all who ask meanwhile. */
class Looks {
  readonly #paths: ReadonlyMap<string, readonly HealthCheck[]>;
  readonly #clock: Clock;
  readonly #last = new Map<string, { readonly startedAt: number; readonly answer: Promise<Answer>; isOver: boolean }>();

  constructor(paths: ProbePaths, clock: Clock) {
    this.#paths = new Map(Object.entries(paths));
    this.#clock = clock;
  }

  /** Undefined where there is no such path. Never rejects. */
  at(path: string): Promise<Answer> | undefined {
    const checks = this.#paths.get(path);
    if (checks === undefined) return undefined;
    const now = this.#clock.now();
    const last = this.#last.get(path);
    if (last !== undefined && (!last.isOver || now - last.startedAt < PROBE_ANSWER_MS)) return last.answer;
    const look = { startedAt: now, isOver: false, answer: runChecks(checks, this.#clock).then(answerOf) };
    this.#last.set(path, look);
    void look.answer.then(() => {
      look.isOver = true;
    });
    return look.answer;
  }
}

function answerOf(parts: readonly CheckedPart[]): Answer {
  const ok = parts.every((part) => part.ok);
  const checks = parts.map(({ name, ok: isWell, reason }) => ({ name, ok: isWell, ...(reason && { reason }) }));
  const details: readonly object[] = parts.map(({ detail }) => detail ?? {});
  return { ok, body: Object.assign({}, ...details, { status: ok ? "ok" : "failed", checks }) };
}
