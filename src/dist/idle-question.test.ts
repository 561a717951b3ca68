import { describe, expect, it } from "vitest";
import { IdleQuestion } from "./idle-question.ts";

function make() {
  const question = new IdleQuestion();
  let kept = 0;
  const hearer = { idleKept: () => void kept++ };
  return { question, hearer, told: () => [question.isOpen, kept] };
}

describe("IdleQuestion", () => {
  it("is open until it is answered, and is asked once at a time", () => {
    const { question, hearer, told } = make();
    expect([question.ask(), question.ask(), ...told()]).toEqual([true, false, true, 0]);
    question.kept(hearer);
    expect([...told(), question.ask()]).toEqual([false, 1, true]);
  });

  it("is settled by a message, and not asked again before its answer has come", () => {
    const { question, hearer, told } = make();
    question.ask();
    question.overtaken(hearer);
    question.overtaken(hearer);
    expect([...told(), question.ask()]).toEqual([false, 1, false]);
    // The answer to the first question, which must not pass for that of a second one.
    question.kept(hearer);
    expect([...told(), question.ask(), question.isOpen]).toEqual([false, 1, true, true]);
  });

  it("takes no notice of answers to nothing", () => {
    const { question, hearer, told } = make();
    question.kept(hearer);
    question.overtaken(hearer);
    expect(told()).toEqual([false, 0]);
  });
});
