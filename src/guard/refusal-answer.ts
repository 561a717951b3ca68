import { Atom, Tuple } from "../term/types.ts";

const SALLYPORT_DENIED = new Atom("sallyport_denied");

/** `{sallyport_denied, <<"ID">>}`, what a refused caller is told (rulings U9). */
export function denied(id: string): Tuple {
  return new Tuple([SALLYPORT_DENIED, Buffer.from(id, "latin1")]);
}
