import { expect, it } from "vitest";
import { Pid, Reference } from "../../term/public.ts";
import { hasPayload } from "../../wire/control-types.ts";
import { ATTACKS, answersOf } from "./hostile-attacks.ts";
import { ANSWERS, ATTACKS_SHOWN } from "./hostile-rows.ts";

const EVIL = "bob@h";
const knowledge = { victim: ["desk@h", 9, 0, 5], third: ["ec2@h", 4, 0, 6] } as const;
const caller = new Pid("desk@h", 1, 0, 5);
const parts = { own: new Pid(EVIL, 66, 0, 7), caller, knowledge, newRef: () => new Reference(EVIL, 7, [1, 2, 3]) };

it("every attack is shown once, and none is shown that does not exist", () => {
  expect([...ATTACKS_SHOWN].sort()).toEqual(Object.keys(ATTACKS).sort());
});

it("every attack is made of messages that can be written, with a payload where the protocol has one", () => {
  for (const [name, make] of Object.entries(ATTACKS)) {
    const messages = make(parts);
    expect(messages.length, name).toBeGreaterThan(0);
    for (const [control, payload] of messages) expect(payload !== undefined, name).toBe(hasPayload(control));
  }
});

it("answers once, twice, with a fun or with a pid of a third node", () => {
  const count = ANSWERS.map(([mode]) => `${mode} ${answersOf(mode, knowledge.third).length}`);
  expect(count).toEqual(["honest 1", "fun 1", "foreign 1", "twice 2"]);
});
