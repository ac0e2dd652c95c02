const KEPT_CHARACTERS = 1000;

/** What a program said when it failed, as part of one line for the operator. */
export function ownWords(text: string): string {
  return text
    .trim()
    .slice(0, KEPT_CHARACTERS)
    .replace(/\s*\n\s*/g, "; ");
}
