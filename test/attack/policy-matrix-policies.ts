// The policies of the matrix's three machines, and who is who in a direction.
import type { Direction } from "./policy-matrix-rows.ts";
import { BOB, DESKTOP, type Document, EC2, type World } from "./policy-rig.ts";

export const NAMES = { D: DESKTOP, E: EC2, B: BOB } as const;
export type Letter = keyof typeof NAMES;
export const askerOf = (direction: Direction): Letter => direction[0] as Letter;
export const receiverOf = (direction: Direction): Letter => direction[1] as Letter;
export const thirdOf = (direction: Direction): Letter =>
  (Object.keys(NAMES) as Letter[]).find((letter) => !direction.includes(letter)) ?? "D";

/** As the matrix has it, and with everything that it leaves to a grant. */
export type Pass = "default" | "granted";

export function policyOf(world: World, letter: Letter, pass: Pass): Document {
  const isGranted = pass === "granted";
  const desk = world.entry(DESKTOP, { level: 3 });
  const always = [
    { id: "desk-names", from: "desk", allow: "rpc", to: "peers:names/0" },
    { id: "desk-bulk", from: "desk", allow: "stream", to: "upload" },
  ];
  const owner = [
    { id: "desk-admin", from: "desk", allow: "system", to: "machine" },
    { id: "desk-look", from: "desk", allow: "rpc", to: "metrics:all/0" },
  ];
  const export_ = (from: string): Document[] => [
    { id: `${from}-jobs`, from, allow: ["send", "call", "monitor"], to: "jobs" },
  ];
  const bulk = (from: string): Document[] => [{ id: `${from}-bulk`, from, allow: "stream", to: "upload" }];
  if (letter === "D") {
    const granted = { peers: { ec2: world.entry(EC2) }, rules: export_("ec2") };
    return { version: 1, node: DESKTOP, level: 3, ...(isGranted ? granted : {}) };
  }
  if (letter === "E") {
    const peers = { desk, ...(isGranted ? { bob: world.entry(BOB) } : {}) };
    const rules = [...always, ...(isGranted ? [...owner, ...export_("bob"), ...bulk("bob")] : [])];
    return { version: 1, node: EC2, level: 2, peers, rules };
  }
  const work = [
    { id: "ec2-tie", from: "ec2", allow: ["link", "exit"], to: "mortal" },
    { id: "ec2-work", from: "ec2", allow: "spawn", to: "worker" },
  ];
  const peers = { desk, ...(isGranted ? { ec2: world.entry(EC2) } : {}) };
  const rules = [...always, ...(isGranted ? [...owner, ...export_("ec2"), ...bulk("ec2"), ...work] : [])];
  return { version: 1, node: BOB, level: 1, peers, rules };
}
