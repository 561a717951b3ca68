import { addMs, type Clock } from "../base/clock.ts";
import { isSallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { NodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { Resolver } from "../node/ports.ts";
import { unresolved } from "../node/unresolved.ts";
import { isAddress } from "./address.ts";

/** Longest wait for one resolver of a chain that names no time of its own, in milliseconds. */
export const DEFAULT_RESOLVE_MS = 2_000;

/** Addresses taken from one answer. A dial tries them one after the other within its deadline. */
export const MAX_ADDRESSES = 16;

/** Remarks of one resolver that are kept for the error. */
const MAX_NOTES = 8;

interface Answer {
  readonly addresses: readonly DialAddress[];
  /** Why there are none. */
  readonly said: string;
}

/**
 * Asks one resolver after the other; the first that knows an address wins. One that fails or takes too long is noted, and the
 * next is asked. When all have nothing it rejects with ERR_UNREACHABLE NAME_UNRESOLVED, which says what each answered. A
 * resolver that knows that the node cannot be dialled ends the search with ERR_UNREACHABLE PEER_OFFLINE.
 */
export function chainResolvers(resolvers: readonly Resolver[], clock: Clock): Resolver {
  return {
    label: resolvers.map((resolver) => resolver.label).join(", then "),
    async resolve(name, signal, note) {
      const said: string[] = [];
      for (const resolver of resolvers) {
        const answer = await ask(resolver, name, signal, clock);
        signal.throwIfAborted();
        if (answer.addresses.length > 0) {
          if (resolver.isGuess === true) for (const line of said) note?.(line);
          return answer.addresses;
        }
        said.push(`${resolver.label}: ${answer.said}`);
      }
      throw unresolved(name, said.length > 0 ? said : ["nobody"]);
    },
  };
}

/** Settles with the first of: the answer, the resolver's deadline, the end of the dial. */
function ask(resolver: Resolver, name: NodeName, signal: AbortSignal, clock: Clock): Promise<Answer> {
  const maxMs = resolver.maxResolveMs ?? DEFAULT_RESOLVE_MS;
  const controller = new AbortController();
  const notes: string[] = [];
  return new Promise((resolve, reject) => {
    const settle = (run: () => void): void => {
      timer.cancel();
      signal.removeEventListener("abort", aborted);
      run();
      // What it still does for us is in vain.
      controller.abort();
    };
    const empty = (said: string) => (): void => resolve({ addresses: [], said });
    const aborted = (): void => settle(empty("not waited for"));
    const timer = clock.at(addMs(clock.now(), maxMs), () => settle(empty(`no answer within ${maxMs} ms`)), true);
    signal.addEventListener("abort", aborted, { once: true });
    asking(resolver, name, controller.signal, (said) => {
      if (notes.length < MAX_NOTES) notes.push(quotePeerText(said));
    }).then(
      (addresses) => settle(() => resolve(judged(addresses, notes))),
      (error: unknown) => {
        if (isSallyportError(error) && error.reason === "PEER_OFFLINE") settle(() => reject(error));
        else settle(empty(`failed: ${quotePeerText(error instanceof Error ? error.message : String(error))}`));
      },
    );
  });
}

/** Also a resolver that throws at once only fails. */
async function asking(
  resolver: Resolver,
  name: NodeName,
  signal: AbortSignal,
  note: (said: string) => void,
): Promise<unknown> {
  return await resolver.resolve(name, signal, note);
}

/** Resolvers may be anybody's code: what is no address is left out. */
function judged(answer: unknown, notes: readonly string[]): Answer {
  if (!Array.isArray(answer)) return { addresses: [], said: "an answer that is no list of addresses" };
  const addresses = answer.slice(0, MAX_ADDRESSES).filter(isAddress);
  if (addresses.length === 0 && answer.length > 0) return { addresses, said: "nothing but broken addresses" };
  return { addresses, said: notes.length === 0 ? "nothing" : notes.join(", ") };
}
