/** A pattern of IAM: `*` matches any characters, `?` exactly one; everything else is literal. */
export function globMatches(pattern: string, text: string): boolean {
  return globExpression(pattern).test(text);
}

/** The pattern as an anchored expression. `flags` is `i` for names that ignore case, such as actions. */
export function globExpression(pattern: string, flags = ""): RegExp {
  const source = [...pattern]
    .map(globCharacter)
    .join("")
    .replace(/(\.\*){2,}/g, ".*");
  return new RegExp(`^${source}$`, `s${flags}`);
}

/** Escapes text so that a pattern matches it literally. */
export function escapeForGlob(text: string): string {
  return text.replace(/[*?]/g, (character) => (character === "*" ? LITERAL_STAR : LITERAL_QUESTION_MARK));
}

// A policy writes a literal * as ${*}; between there and the expression it is one of these private-use
// characters.
const LITERAL_STAR = "\uE000";
const LITERAL_QUESTION_MARK = "\uE001";

function globCharacter(character: string): string {
  switch (character) {
    case "*":
      return ".*";
    case "?":
      return ".";
    case LITERAL_STAR:
      return "\\*";
    case LITERAL_QUESTION_MARK:
      return "\\?";
    default:
      return character.replace(/[\\^$.|+()[\]{}/-]/g, "\\$&");
  }
}

/**
 * Whether two ARNs match part by part, as in `ArnLike`. A `*` matches only within its colon-delimited part,
 * except in the last part.
 */
export function arnMatches(pattern: string, arn: string): boolean {
  const patternParts = arnParts(pattern);
  const parts = arnParts(arn);
  return (
    parts.length === patternParts.length &&
    patternParts.every((part, index) => globMatches(part, parts[index] ?? ""))
  );
}

function arnParts(arn: string): string[] {
  const parts = arn.split(":");
  return parts.length <= ARN_PARTS ? parts : [...parts.slice(0, 5), parts.slice(5).join(":")];
}
const ARN_PARTS = 6;
