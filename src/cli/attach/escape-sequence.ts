/** Largest number in a sequence that moves the cursor. */
const MAX_MOVE = 999;

/** Most numbers in a sequence that colours. */
const MAX_COLOUR_NUMBERS = 16;

/** Largest part of a colour, or number of one in a palette. */
const MAX_COLOUR = 255;

/** How many numbers a sequence that moves the cursor may have, by its last character: CUU, CUD, CUF, CUB, CHA, CUP. */
const MOVES: Readonly<Record<string, number>> = { A: 1, B: 1, C: 1, D: 1, G: 1, H: 2, f: 2 };

/** Numbers of ED and EL that erase what is on the screen. 3 would erase what has scrolled away. */
const ERASES: readonly number[] = [0, 1, 2];

/**
 * Whether a terminal may get the sequence `ESC [ PARAMETERS FINAL` of a peer: one that colours, moves the cursor or erases. No
 * terminal answers, remembers or executes any of these.
 */
export function isHarmless(parameters: string, final: string): boolean {
  if (!/^[\d;]*$/.test(parameters)) return false;
  const parts = parameters === "" ? [] : parameters.split(";");
  if (parts.some((part) => part.length > 3)) return false;
  const numbers = parts.map(Number);
  if (final === "m") return isColour(numbers);
  if (final === "J" || final === "K") return numbers.length <= 1 && ERASES.includes(numbers[0] ?? 0);
  const most = Object.hasOwn(MOVES, final) ? MOVES[final] : undefined;
  return most !== undefined && numbers.length <= most && numbers.every((number) => number <= MAX_MOVE);
}

/** SGR. Not among them: 8, which hides text that a copy would hold, and 10 to 20, which change the font. */
function isColour(numbers: readonly number[]): boolean {
  if (numbers.length > MAX_COLOUR_NUMBERS) return false;
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i] as number;
    if (number === 38 || number === 48) {
      const parts = numbers[i + 1] === 5 ? 1 : numbers[i + 1] === 2 ? 3 : 0;
      const colour = numbers.slice(i + 2, i + 2 + parts);
      if (parts === 0 || colour.length < parts || colour.some((part) => part > MAX_COLOUR)) return false;
      i += 1 + parts;
    } else if (!isAttribute(number)) return false;
  }
  return true;
}

function isAttribute(number: number): boolean {
  return (
    number <= 7 ||
    number === 9 ||
    (number >= 21 && number <= 49 && number !== 26) ||
    (number >= 90 && number <= 97) ||
    (number >= 100 && number <= 107)
  );
}
