import { rmSync } from "node:fs";
import { expect } from "vitest";
import type { Raw } from "./client.ts";
import type { Victim } from "./victim.ts";

/** Memory that may stay in use after an attack, once everything was collected. */
const MAX_LEFT_BYTES = 24 * 1024 * 1024;

/** A victim in a process of its own, from its start to its end, and the connections that attackers have to it. */
export abstract class VictimRig {
  readonly victim: Victim;
  readonly directory: string;
  readonly #raws: Raw[] = [];
  #usedAtStart = 0;

  protected constructor(victim: Victim, directory: string) {
    this.victim = victim;
    this.directory = directory;
  }

  /** The victim lives, serves who is honest, and nothing escaped its handlers. */
  abstract aliveAndWell(): Promise<void>;

  /** What the victim uses now is what it may use after the attacks. */
  protected async startsHere(): Promise<void> {
    this.#usedAtStart = await this.#used();
  }

  /** Takes this connection of an attacker back with the others. */
  protected keep(raw: Raw): Raw {
    this.#raws.push(raw);
    return raw;
  }

  /** Has this node a session of its own, beside the attackers? */
  protected stays(_name: string): boolean {
    return false;
  }

  /** Events so far: what comes later came because of what is done now. */
  get mark(): number {
    return this.victim.events.length;
  }

  async sessions(): Promise<readonly string[]> {
    return (await this.victim.ask<{ connectedNodes: string[] }>("health")).connectedNodes;
  }

  async #used(): Promise<number> {
    return (await this.victim.ask<{ used: number }>("memory")).used;
  }

  /** Nothing that the attacks caused is still held. */
  async memoryAsBefore(allowance: number = MAX_LEFT_BYTES): Promise<void> {
    expect((await this.#used()) - this.#usedAtStart).toBeLessThan(allowance);
  }

  protected nothingEscaped(): void {
    expect(this.victim.uncaught).toEqual([]);
    expect(this.victim.exitCode).toBeUndefined();
  }

  /** Takes back all connections of the attackers; the victim has seen it when this returns. */
  async dropAttackers(): Promise<void> {
    for (const raw of this.#raws.splice(0)) {
      raw.destroy();
      await raw.untilClosed();
    }
    while (!(await this.sessions()).every((name) => this.stays(name)));
  }

  /** The last look at the victim, and its end. */
  async stopWell(): Promise<void> {
    try {
      await this.aliveAndWell();
      await this.dropAttackers();
      await this.memoryAsBefore();
    } finally {
      await this.stop();
    }
  }

  async stop(): Promise<void> {
    for (const raw of this.#raws) raw.destroy();
    await this.victim.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
