import { AwsError } from "../../core/aws-error.ts";

export type Token =
  | { kind: "word"; text: string; quoted: boolean; at: number }
  | { kind: "string"; text: string; at: number }
  | { kind: "number"; value: number; at: number }
  | { kind: "symbol"; text: string; at: number }
  | { kind: "end"; at: number };

const SYMBOLS = ["<>", "!=", "<=", ">=", "<", ">", "=", "(", ")", ",", ".", "*"];
const MAX_SQL_CHARACTERS = 65_536;

/** The statement cannot be parsed or uses an unsupported feature. `at` is a character offset. */
export function sqlError(message: string, at: number): AwsError {
  return new AwsError("SqlParseException", `${message}, at character ${at + 1} of the SQL`);
}

/** Splits a rule's SQL into tokens, ending with one of kind `end`; throws `SqlParseException`. */
export function tokenize(sql: string): Token[] {
  if (sql.length > MAX_SQL_CHARACTERS) {
    throw sqlError(`SQL of more than ${MAX_SQL_CHARACTERS} characters`, MAX_SQL_CHARACTERS);
  }
  const tokens: Token[] = [];
  let at = skipSpace(sql, 0);
  while (at < sql.length) {
    const [token, next] = readToken(sql, at);
    tokens.push(token);
    at = skipSpace(sql, next);
  }
  tokens.push({ kind: "end", at: sql.length });
  return tokens;
}

function readToken(sql: string, at: number): [Token, next: number] {
  const first = sql.charAt(at);
  if (first === "'" || first === '"') {
    const [text, next] = readQuoted(sql, at, first);
    return first === "'"
      ? [{ kind: "string", text, at }, next]
      : [{ kind: "word", text, quoted: true, at }, next];
  }
  const word = match(/[A-Za-z_][A-Za-z0-9_]*/y, sql, at);
  if (word !== undefined) return [{ kind: "word", text: word, quoted: false, at }, at + word.length];
  const number = match(/-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y, sql, at);
  if (number !== undefined) {
    const value = Number(number);
    if (!Number.isFinite(value)) throw sqlError(`the number ${number} is too large`, at);
    return [{ kind: "number", value, at }, at + number.length];
  }
  const symbol = SYMBOLS.find((candidate) => sql.startsWith(candidate, at));
  if (symbol === undefined) throw sqlError(`unexpected ${JSON.stringify(first)}`, at);
  return [{ kind: "symbol", text: symbol, at }, at + symbol.length];
}

/** A quote inside is written twice. */
function readQuoted(sql: string, start: number, quote: string): [string, next: number] {
  let text = "";
  for (let at = start + 1; at < sql.length; at++) {
    if (sql.charAt(at) !== quote) text += sql.charAt(at);
    else if (sql.charAt(at + 1) !== quote) return [text, at + 1];
    else {
      text += quote;
      at++;
    }
  }
  throw sqlError(`a ${quote} that is not closed`, start);
}

function skipSpace(sql: string, at: number): number {
  return at + (match(/\s*/y, sql, at)?.length ?? 0);
}

function match(pattern: RegExp, sql: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(sql)?.[0];
}
