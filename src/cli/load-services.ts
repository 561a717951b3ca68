import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import type { Node } from "../node/api.ts";
import * as term from "../term/public.ts";

/** Registers the owner's services on a node. */
export type RegisterServices = (node: Node) => Promise<void>;

/**
 * Loads the owner's ES module for `--services`. Its default export, or its export `register`, is a function
 * `(node, term)`; `term` is what `import * as term from "sallyport/term"` gives, so the file needs no package. It may be
 * async.
 * @throws {SallyportError} ERR_CONFIG SERVICES_UNLOADABLE, SERVICES_INVALID; the result also SERVICES_FAILED
 */
export async function loadServices(directory: string, file: string): Promise<RegisterServices> {
  const path = resolve(directory, file);
  const module = await importModule(path);
  const register = module["default"] ?? module["register"];
  if (typeof register !== "function") {
    throw new SallyportError(
      "ERR_CONFIG",
      "SERVICES_INVALID",
      `${path} exports no function to register services with`,
      {
        advice: "write: export default function (node) { node.register(...) }",
      },
    );
  }
  return async (node) => {
    try {
      await register(node, term);
    } catch (cause) {
      if (isSallyportError(cause)) throw cause;
      const advice = `correct the function that ${path} exports`;
      throw new SallyportError("ERR_CONFIG", "SERVICES_FAILED", `${path} failed: ${textOf(cause)}`, { advice, cause });
    }
  };
}

async function importModule(path: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(path).href);
  } catch (cause) {
    throw new SallyportError("ERR_CONFIG", "SERVICES_UNLOADABLE", `cannot load ${path}: ${textOf(cause)}`, {
      advice: "name an ES module (.mjs), and see that what it imports is installed",
      cause,
    });
  }
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
