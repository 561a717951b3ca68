import { addMs, type Clock, type Timer } from "../base/clock.ts";
import type { NodeName } from "../base/node-name.ts";
import { checkDuty, type DutyFinding, type DutySubject, type DutyWorld } from "../gateway/duty.ts";

/** How often the machine is looked over for other ways to the inside nodes, milliseconds. */
export const DUTY_CHECK_MS = 60_000;

export interface DutyWatchParts {
  readonly clock: Clock;
  readonly world: DutyWorld;
  /** The inside nodes as they are known at that moment, each once. */
  readonly subjects: () => readonly DutySubject[];
  /** What stands open has changed: all findings of that node, none when it is well. Must not throw. */
  readonly tell: (inside: NodeName, findings: readonly DutyFinding[]) => void;
}

/** Looks for other ways to the inside nodes: at once, each minute, and when it is asked to. One look at a time. */
export class DutyWatch {
  readonly #parts: DutyWatchParts;
  readonly #found = new Map<NodeName, readonly DutyFinding[]>();
  #timer: Timer | undefined;
  #isLooking = false;
  #isAskedAgain = false;
  #isStopped = false;

  constructor(parts: DutyWatchParts) {
    this.#parts = parts;
    this.look();
  }

  /** What stood open at the last look. */
  findings(inside: NodeName): readonly DutyFinding[] {
    return this.#found.get(inside) ?? [];
  }

  /** Looks soon, whatever the time. */
  look(): void {
    if (this.#isStopped) return;
    if (this.#isLooking) this.#isAskedAgain = true;
    else void this.#look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { clock, world, subjects } = this.#parts;
    this.#isLooking = true;
    this.#timer?.cancel();
    do {
      this.#isAskedAgain = false;
      for (const subject of subjects()) this.#note(subject.inside, await checkDuty(subject, world));
    } while (this.#isAskedAgain && !this.#isStopped);
    this.#isLooking = false;
    if (!this.#isStopped) this.#timer = clock.at(addMs(clock.now(), DUTY_CHECK_MS), () => this.look(), true);
  }

  #note(inside: NodeName, findings: readonly DutyFinding[]): void {
    const last = this.findings(inside).map(({ message }) => message);
    this.#found.set(inside, findings);
    const isOld = findings.length === last.length && findings.every(({ message }) => last.includes(message));
    if (!isOld && !this.#isStopped) this.#parts.tell(inside, findings);
  }
}
