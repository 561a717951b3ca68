import { describe, expect, it } from "vitest";
import type { HandlerContext, Node, RegisteredFunction, ServiceHandlers } from "../node/api.ts";
import { parseTermText, printTerm } from "../term/public.ts";
import { registerDemoServices } from "./demo-services.ts";

const services = new Map<string, ServiceHandlers>();
const functions = new Map<string, RegisteredFunction>();
registerDemoServices({
  register: (name: string, handlers: ServiceHandlers) => services.set(name, handlers),
  registerFunction: (name: unknown, fn: RegisteredFunction) => functions.set(JSON.stringify(name), fn),
} as unknown as Node);
const ctx = { signal: new AbortController().signal } as HandlerContext;

async function call(name: string, term: string): Promise<string> {
  return printTerm((await services.get(name)!.call!(parseTermText(term), ctx)) as never);
}

describe("the demo services", () => {
  it.each([
    ["{add,1,2}", "{ok,3}"],
    ["{subtract,1,2}", "{ok,-1}"],
    ["{multiply,9007199254740991,9007199254740991}", "{ok,81129638414606663681390495662081}"],
    ["{add,9007199254740991,1}", "{ok,9007199254740992}"],
    ["{add,1,2.0}", "{ok,3.0}"],
    ["{add,1.5,2}", "{ok,3.5}"],
    ["{multiply,1.0e300,1.0e300}", "{error,badarg}"],
    ["{divide,1,1}", "{error,badarg}"],
    ["{add,1}", "{error,badarg}"],
    ["{add,a,b}", "{error,badarg}"],
    ["add", "{error,badarg}"],
  ])("calc answers %s with %s", async (request, reply) => {
    expect(await call("calc", request)).toBe(reply);
  });

  it("echo answers with the request", async () => {
    expect(await call("echo", "#{a => [1,2]}")).toBe("#{a => [1,2]}");
  });

  it("counter counts casts, starts again at reset and ignores the rest", async () => {
    const counter = services.get("counter")!;
    for (const term of ["{add,2}", "{add,3}", "{add,x}", "junk", "{add,1.5}"])
      void counter.cast!(parseTermText(term), ctx);
    expect(await call("counter", "get")).toBe("5");
    void counter.info!(parseTermText("noise"), ctx);
    expect(await call("counter", "get")).toBe("5");
    void counter.info!(parseTermText("reset"), ctx);
    expect(await call("counter", "get")).toBe("0");
  });

  it("demo:add/2 adds, and fails on what is no number", () => {
    const add = functions.get('{"module":"demo","function":"add","arity":2}')!;
    expect(add([20, 22], ctx)).toBe(42n);
    expect(() => add(["x", 1], ctx)).toThrow();
  });

  it("sleep refuses what is no time, and ends when nobody waits for it", async () => {
    const sleep = functions.get('"sleep"')!;
    for (const args of [[], [-1], [Number.NaN], ["x"], [600_001], [1, 2]]) expect(() => sleep(args, ctx)).toThrow();
    const controller = new AbortController();
    const slept = sleep([600_000], { ...ctx, signal: controller.signal });
    controller.abort();
    expect(printTerm((await slept) as never)).toBe("ok");
  });
});
