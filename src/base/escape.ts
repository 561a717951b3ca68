/** Longest piece of peer text that goes into a message or a log line, in UTF-16 units. */
const MAX_QUOTED_CHARS = 300;

/**
 * Text from a peer, made safe for a log line, a terminal or a message: everything but printable ASCII is written as
 * `\xNN` or `\u{N}`, and the text is cut after 300 characters.
 */
export function quotePeerText(text: string): string {
  let out = "";
  for (const char of text.length > MAX_QUOTED_CHARS ? text.slice(0, MAX_QUOTED_CHARS) : text) {
    const point = char.codePointAt(0) ?? 0;
    if (point === 0x5c) out += "\\\\";
    else if (point >= 0x20 && point < 0x7f) out += char;
    else if (point < 0x100) out += `\\x${point.toString(16).padStart(2, "0")}`;
    else out += `\\u{${point.toString(16)}}`;
  }
  return text.length > MAX_QUOTED_CHARS ? `${out}...` : out;
}
