declare const brand: unique symbol;

/** A value that only its parser may make: `Brand<string, "NodeName">` is not assignable from a plain string. */
export type Brand<T, B extends string> = T & { readonly [brand]: B };
