import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { compileLimits } from "../policy/compile-limits.ts";
import { Budgets, PeerBudget } from "./budgets.ts";

const at = (ms: number) => ms as MonotonicMs;
const bounds = compileLimits({ rate: "2/s", bytes: "100B/s" });

describe("the budget of a peer", () => {
  it("is used by rule, messages and bytes alike, and nothing is used of one when the other has run out", () => {
    const budget = new PeerBudget();
    expect([
      budget.spend("r", bounds, 80, at(0)),
      budget.spend("r", bounds, 80, at(0)),
      budget.spend("r", bounds, 20, at(0)),
      budget.spend("r", bounds, 0, at(0)),
    ]).toEqual([true, false, true, false]);
    expect(budget.spend("other", bounds, 80, at(0))).toBe(true);
    expect(budget.spend(null, bounds, 80, at(0))).toBe(true);
    expect(budget.spend("r", bounds, 40, at(500))).toBe(true);
  });

  it("needs no rates where none are set", () => {
    const budget = new PeerBudget();
    for (let i = 0; i < 5; i++) expect(budget.spend("r", compileLimits({ inflight: 1 }), 1e9, at(0))).toBe(true);
    expect(budget.isIdle(at(0))).toBe(true);
  });

  it("has so many places by rule, given back one by one and never more than were taken", () => {
    const budget = new PeerBudget();
    expect([budget.enter("r", 2), budget.enter("r", 2), budget.enter("r", 2), budget.enter("s", 1)]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    budget.leave("r");
    expect([budget.enter("r", 2), budget.enter("r", 2)]).toEqual([true, false]);
    for (let i = 0; i < 9; i++) budget.leave("r");
    expect([budget.enter("r", 1), budget.enter("r", 1)]).toEqual([true, false]);
  });

  it("counts calls and functions together for the peer, and calls alone against the bound of the node", () => {
    const budget = new PeerBudget();
    expect(budget.enterAny("call", 3, 2)).toBe(true);
    expect(budget.enterAny("call", 3, 2)).toBe(true);
    expect(budget.enterAny("call", 3, 2)).toBe(false);
    expect(budget.enterAny("function", 3, 2)).toBe(true);
    expect(budget.enterAny("function", 3, 2)).toBe(false);
    expect(budget.inflight).toBe(3);
    budget.leaveAny("function");
    budget.leaveAny("function");
    budget.leaveAny("call");
    expect(budget.inflight).toBe(1);
  });

  it("forgets rates with a new policy, and not what is under way", () => {
    const budget = new PeerBudget();
    budget.spend("r", bounds, 100, at(0));
    budget.enter("r", 1);
    budget.forgetRates();
    expect([budget.spend("r", bounds, 100, at(0)), budget.enter("r", 1)]).toEqual([true, false]);
  });
});

describe("the budgets of all peers", () => {
  it("are found again by a peer that connects anew", () => {
    const budgets = new Budgets(10);
    budgets.of("p", at(0)).spend("r", bounds, 100, at(0));
    expect(budgets.of("p", at(0)).spend("r", bounds, 1, at(0))).toBe(false);
    expect(budgets.of("q", at(0)).spend("r", bounds, 1, at(0))).toBe(true);
  });

  it("are bounded: above the bound those go that nothing is used of, and no others", () => {
    const budgets = new Budgets(2);
    const used = budgets.of("used", at(0));
    used.spend("r", bounds, 1, at(0));
    const working = budgets.of("working", at(0));
    working.enterAny("call", 5, 5);
    budgets.of("third", at(0));
    expect([budgets.size, budgets.of("used", at(0)) === used, budgets.of("working", at(0)) === working]).toEqual([
      2,
      true,
      true,
    ]);
    const fourth = budgets.of("fourth", at(5_000));
    expect([budgets.size, budgets.of("working", at(5_000)) === working]).toEqual([2, true]);
    expect([budgets.of("fourth", at(5_000)), budgets.of("used", at(5_000)) === used]).toEqual([fourth, false]);
  });

  it("are one together for peers that find no room, however many come", () => {
    const budgets = new Budgets(3);
    for (let i = 0; i < 3; i++) budgets.of(`first${i}`, at(0)).spend("r", bounds, 1, at(0));
    const shared = budgets.of("late", at(0));
    for (let i = 0; i < 1_000; i++) {
      const late = budgets.of(`late${i}`, at(0));
      expect(late).toBe(shared);
      late.spend("r", bounds, 1, at(0));
    }
    expect(budgets.size).toBe(3);
    expect(shared.spend("r", bounds, 1, at(0))).toBe(false);
    budgets.forgetRates();
    expect(shared.spend("r", bounds, 1, at(0))).toBe(true);
    expect(budgets.of("late", at(5_000))).not.toBe(shared);
  });

  it("are looked at a few at a time for one to forget, each in its turn", () => {
    const budgets = new Budgets(1_000);
    let looks = 0;
    for (let i = 0; i < 1_000; i++) {
      const budget = budgets.of(`peer${i}`, at(0));
      budget.enterAny("call", 5, 5);
      budget.isIdle = () => {
        looks++;
        return i === 999;
      };
    }
    budgets.of("new", at(0));
    expect(looks).toBeLessThan(20);
    for (let i = 0; i < 200; i++) budgets.of(`new${i}`, at(0));
    expect(budgets.of("peer998", at(0)).inflight).toBe(1);
    expect(budgets.of("peer999", at(0)).inflight).toBe(0);
  });

  it("forget the rates of every peer", () => {
    const budgets = new Budgets(10);
    for (const peer of ["p", "q"]) budgets.of(peer, at(0)).spend("r", bounds, 100, at(0));
    budgets.forgetRates();
    expect(["p", "q"].map((peer) => budgets.of(peer, at(0)).spend("r", bounds, 100, at(0)))).toEqual([true, true]);
  });
});
