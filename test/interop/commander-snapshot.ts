import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, vi } from "vitest";
import type { BeamNode } from "./erlang-node.ts";

const SOURCES = join(dirname(fileURLToPath(import.meta.url)), "erlang");

/** Memory of a commander that may differ after an attack, everything collected. */
const MAX_LEFT_BYTES = 2 * 1024 * 1024;
/** Atoms that may be new after an attack: reasons of refusals. */
const MAX_NEW_ATOMS = 8;

/** What an attack must leave as it was. */
export interface Snapshot {
  readonly atoms: number;
  readonly memory: number;
  /** Processes, registered names, connections, ports, settings, as text. */
  readonly state: string;
}

/** Compiles a module of `erlang/` and loads it. */
export async function load(beam: BeamNode, module: string): Promise<void> {
  const file = JSON.stringify(join(SOURCES, `${module}.erl`));
  await beam.erl(`{ok, M, C} = compile:file(${file}, [binary]), {module, M} = code:load_binary(M, ${file}, C)`);
}

/** Of a commander that has `gateway_victim`. */
export async function snapshot(commander: BeamNode): Promise<Snapshot> {
  const text = await commander.erl("gateway_victim:snapshot()");
  const [, atoms, memory, state = ""] = /^\{(\d+),(\d+),(.*)\}$/su.exec(text) ?? [];
  return { atoms: Number(atoms), memory: Number(memory), state };
}

/** A snapshot when nothing is starting or ending any more. */
export async function calm(commander: BeamNode): Promise<Snapshot> {
  let last = await snapshot(commander);
  return within(async () => {
    const now = await snapshot(commander);
    const { state } = last;
    last = now;
    expect(now.state).toBe(state);
    return now;
  });
}

/** All is as before; what was started to say no has a moment to end. */
export async function unchanged(commander: BeamNode, before: Snapshot): Promise<void> {
  const after = await within(async () => {
    const now = await snapshot(commander);
    expect(now.state).toBe(before.state);
    return now;
  });
  expect(after.atoms - before.atoms).toBeLessThanOrEqual(MAX_NEW_ATOMS);
  expect(after.memory - before.memory).toBeLessThan(MAX_LEFT_BYTES);
}

/** Waits for what comes soon where it comes at all. */
export function within<T>(check: () => T | Promise<T>, timeout = 8_000): Promise<T> {
  return vi.waitFor(check, { timeout, interval: 10 });
}
