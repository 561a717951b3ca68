import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SallyportError } from "../../base/errors.ts";
import type { Node } from "../../node/api.ts";
import { buildMatrix, compareMatrix, type ExpectedEdge, type Matrix } from "../../policy/review/matrix.ts";
import type { CommandWorld } from "../command-world.ts";
import { matrixText } from "../commands/policy-matrix.ts";
import { decisionJson, decisionLines } from "../decision-lines.ts";
import { EXAMPLE_DIRECTORY } from "./example-policies.ts";
import type { Fleet } from "./fleet.ts";
import type { Row } from "./rows.ts";
import type { Story } from "./story.ts";

/** `policy why` of an attempt to run code, by the id that the attacker was told. */
export function explain(story: Story, node: Node, attacks: readonly Row[]): Readonly<Record<string, unknown>> {
  story.step("The owner asks why");
  const told = attacks.find((row) => row.observed.by === "no-orders" && row.answer.includes("sallyport_denied"));
  const id = told?.decision ?? "";
  const decision = node.why(id);
  if (decision === undefined) {
    throw new SallyportError("ERR_REMOTE", "DEMO_DIFFERS", `my_desktop does not know its own decision "${id}"`, {
      advice: "please report this with the output of the demo",
    });
  }
  story.say(`$ sallyport policy why ${id}`);
  story.show(decisionLines(decision, story.colours));
  return decisionJson(decision);
}

/** `policy matrix` of the three policies, and whether its edges are those that come with the example. */
export function showMatrix(
  world: CommandWorld,
  story: Story,
  { policies }: Fleet,
): { readonly matrix: Matrix; readonly faults: readonly string[] } {
  story.step("What the three policies say");
  const all = Object.values(policies);
  const matrix = buildMatrix(
    all.map(({ policy }) => policy),
    world.clock.wallMs(),
  );
  const names = new Map(all.map(({ from, to }) => [from, to]));
  const text = readFileSync(join(EXAMPLE_DIRECTORY, "fleet.expected.json"), "utf8");
  const expected = (JSON.parse(text) as readonly ExpectedEdge[]).map((edge) => ({
    ...edge,
    from: names.get(edge.from) ?? edge.from,
    to: names.get(edge.to) ?? edge.to,
  }));
  const difference = compareMatrix(matrix, expected);
  story.show(matrixText(matrix, difference, story.colours));
  story.gap();
  const { mutualCommand } = matrix;
  if (mutualCommand.length === 0)
    story.say("No two machines command each other. All edges are those of fleet.expected.json.");
  return {
    matrix,
    faults: [
      ...mutualCommand.map(([a, b]) => `${a} and ${b} command each other`),
      ...difference.unexpected.map(({ from, to }) => `an edge ${from} -> ${to} that should not be`),
      ...difference.missing.map(({ from, to }) => `an edge ${from} -> ${to} is gone`),
    ],
  };
}
