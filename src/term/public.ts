/** What users of the package see of terms: values, codec, comparison and text. */
export { compareTerms, mapGet, mapHas, termEquals } from "./compare.ts";
export { type DecodeTermOptions, decodeTerm, type Inflate } from "./decode.ts";
export { encodeTerm } from "./encode.ts";
export { DEFAULT_TERM_LIMITS, type TermLimits } from "./limits.ts";
export { type ParseTermOptions, parseTermText } from "./text-parse.ts";
export { printTerm } from "./text-print.ts";
export {
  Atom,
  atom,
  atomName,
  BitString,
  ExportFun,
  Float,
  Fun,
  float,
  ImproperList,
  isAtom,
  NativeRecord,
  Pid,
  Port,
  Reference,
  type Term,
  Tuple,
  tuple,
} from "./types.ts";
